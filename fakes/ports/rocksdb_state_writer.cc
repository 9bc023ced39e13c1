// The other process of rocksdb_state_test: `writer FOLDER DESCRIPTOR` writes until it is killed, and tells the descriptor the number of
// each write that is kept.
#include <unistd.h>

#include <string>

#include "fakes/base/check.h"
#include "fakes/ports/rocksdb_state.h"

int main(int count, char** arguments) {
  using namespace kvjury;
  CHECK_EQ(count, 3);
  const int acknowledged = std::stoi(arguments[2]);
  const Result<std::unique_ptr<ports::RocksDbState>> state = ports::RocksDbState::Open(arguments[1], {});
  CHECK(state.ok()) << state.error();
  for (uint32_t i = 0;; ++i) {
    tikv::WriteBatch batch;
    batch.Put(tikv::ColumnFamily::kDefault, std::to_string(i), Bytes(100, 'v'));
    batch.Put(tikv::ColumnFamily::kWrite, std::to_string(i), "w");
    (*state)->Write(batch, {});
    // Several may come together; only what is kept is told.
    if (i % 7 == 0) {
      CHECK((*state)->Drain().ok());
      CHECK_EQ(::write(acknowledged, &i, sizeof(i)), static_cast<ssize_t>(sizeof(i)));
    }
  }
}
