#include "fakes/objects/s3_answer.h"

#include "fakes/base/xml.h"
#include "fakes/objects/s3_text.h"

namespace kvjury::objects {

namespace {

constexpr char kXml[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

}  // namespace

std::string XmlElement(const std::string& name, std::string_view text) { return "<" + name + ">" + XmlText(text) + "</" + name + ">"; }

::http::Response EmptyAnswer(uint32_t status) {
  ::http::Response response;
  response.set_status(status);
  return response;
}

::http::Response XmlAnswer(const std::string& root, const std::string& inside) {
  ::http::Response response = EmptyAnswer();
  response.set_content_type("application/xml");
  response.set_body(kXml + ("<" + root) + " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" + inside + "</" + root + ">");
  return response;
}

void AddHeader(::http::Response* response, const std::string& name, const std::string& value) {
  ::http::Header* header = response->add_headers();
  header->set_name(name);
  header->set_value(value);
}

::http::Response S3ErrorAnswer(const S3Error& error, const std::string& resource) {
  ::http::Response response = EmptyAnswer(error.status);
  if (error.status == 304) {
    return response;  // has no body
  }
  response.set_content_type("application/xml");
  response.set_body(kXml + ("<Error>" + XmlElement("Code", error.code)) + XmlElement("Message", error.message) + XmlElement("Resource", resource) +
                    "<RequestId>0</RequestId></Error>");
  return response;
}

S3Error StorageFull() {
  return {507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold. Please delete a few objects to proceed."};
}

}  // namespace kvjury::objects
