// Bare sockets for tests of ports: what a peer that speaks nothing in particular sees.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

namespace kvjury::ports {

/// -1 if nobody accepts at "127.0.0.1:2379".
inline int Connect(const std::string& address) {
  const size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(descriptor, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
    close(descriptor);
    return -1;
  }
  return descriptor;
}

/// Everything that the peer sends until it closes or says nothing for `patience_s`.
inline std::string ReadAll(int descriptor, int patience_s = 3) {
  const timeval patience{patience_s, 0};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  std::string text;
  char bytes[4096];
  for (ssize_t got = 0; (got = recv(descriptor, bytes, sizeof(bytes), 0)) > 0;) {
    text.append(bytes, static_cast<size_t>(got));
  }
  return text;
}

/// False if the peer takes no more.
inline bool SendText(int descriptor, const std::string& text) {
  return send(descriptor, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

/// What the peer answers to `bytes` when nothing more comes; "" if nobody accepts.
inline std::string Ask(const std::string& address, const std::string& bytes, int patience_s = 3) {
  const int descriptor = Connect(address);
  if (descriptor < 0) {
    return "";
  }
  SendText(descriptor, bytes);
  shutdown(descriptor, SHUT_WR);
  std::string answer = ReadAll(descriptor, patience_s);
  close(descriptor);
  return answer;
}

/// The whole answer to GET `path`, status line and headers too.
inline std::string HttpGet(const std::string& address, const std::string& path) {
  return Ask(address, "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n", 20);
}

/// Of an HTTP answer.
inline std::string BodyOf(const std::string& answer) {
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? answer : answer.substr(body + 4);
}

}  // namespace kvjury::ports
