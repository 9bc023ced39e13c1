// certificate.html: one page that a person reads, prints and signs.
#include <fmt/format.h>

#include "fakes/base/bytes.h"
#include "fakes/base/digest.h"
#include "reports/certificate.h"
#include "reports/drill_section.h"
#include "reports/drill_words.h"
#include "reports/html.h"
#include "reports/units.h"

namespace kvjury::reports {

std::string CertificateHtml(const record::Certificate& certificate, std::string_view json) {
  const record::DrillRecord& drill = certificate.drill();
  std::string out = "<article class=\"sheet same\">\n<p class=\"eyebrow\">Certificate of a restore drill, kvjury " +
                    Html(certificate.program_version()) + "</p>\n";
  out += "<p>" + OutcomeBadge(drill.outcome()) + "</p>\n<h1>The restored volume is the volume that was backed up.</h1>\n";
  out += drill.why().empty() ? "" : "<p>" + Html(drill.why()) + "</p>\n";
  out += "<dl class=\"facts\">\n" + HtmlFact("volume", drill.volume().empty() ? "" : HtmlBytes(drill.volume()));
  out += HtmlFact("cut", CutText(drill));
  out += HtmlFact("drill", fmt::format("{}{}, drill {}", Html(drill.recipe()),
                                       drill.fault().empty() ? "" : ", fault " + Html(drill.fault()), drill.number()));
  out += HtmlFact("began", drill.began_ms() > 0 ? Utc(drill.began_ms()) + ", took " + Duration(drill.took_ms()) : "");
  out += HtmlFact("written", fmt::format("{} operations by {} {}, {} of them while the backup ran", Grouped(drill.operations()),
                                         drill.writers(), drill.writers() == 1 ? "writer" : "writers",
                                         Grouped(drill.operations_during_backup())));
  out += HtmlFact("digest", drill.digest().empty() ? "" : HtmlBytes(drill.digest())) + "</dl>\n";
  out += "<h2>What was compared</h2>\n" + ScopeTiles(drill.scope(), drill.contents_compared(), drill.regular_files());
  out += "<h2>What is not proved</h2>\n<ul>\n";
  for (const std::string& sentence : certificate.not_proved()) {
    out += "<li>" + Html(sentence) + "</li>\n";
  }
  out += "</ul>\n<h2>With</h2>\n" + ToolTable(drill.tool());
  out += "<h2>It stands on</h2>\n" + InputTable(drill, "");
  out += "<p><small>SHA-256 of <code>certificate.json</code>, which holds all of this and every check: " +
         HtmlBytes(ToHex(Sha256(json))) + "</small></p>\n";
  out += "<div class=\"sign-here\"><div>name</div><div>date</div><div>signature</div></div>\n</article>\n";
  return HtmlPage("kvjury certificate: " + drill.recipe(), out);
}

}  // namespace kvjury::reports
