#include "harness/cli/open_source.h"

#include "harness/remote/read_cluster.h"

namespace kvjury::cli {

Result<backup::OpenedSource> OpenSource(const std::string& text) {
  ASSIGN_OR_RETURN(const backup::Address address, backup::ParseAddress(text));
  if (address.scheme != backup::Scheme::kTikv) {
    return backup::OpenAddress(address);
  }
  remote::ReadRequest request;
  request.members = address.members;
  request.tls = {address.ca, address.certificate, address.key};
  request.cut = address.cut;
  if (address.volume) {
    request.start = juicefs::VolumePrefix(*address.volume);
    request.end = PrefixEnd(request.start);
  }
  Result<remote::ReadResult> read = remote::ReadCluster(request);
  if (!read.ok()) {
    return read.error().WithContext(address.text);
  }
  Result<backup::OpenedSource> source = backup::SourceFromPairs(address, std::move(read->pairs));
  if (source.ok()) {
    source->cut = read->cut;
  }
  return source;
}

}  // namespace kvjury::cli
