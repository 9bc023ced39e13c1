"""The golden pages of reports/golden, as a browser without scripts and network sees them: well formed, complete in themselves,
every link leads somewhere, every table has headings. (reports_test holds the program's output equal to these files.)
"""

import html.parser
import os
import sys
import unittest

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
VOID = {"br", "meta", "link", "img", "hr", "input"}
MAY_HOLD_NO_BLOCK = {"p", "small", "span", "b", "a", "h1", "h2", "h3", "h4", "h5", "code", "summary"}
BLOCKS = {"p", "div", "ul", "ol", "dl", "table", "section", "details", "article", "h1", "h2", "h3", "h4", "h5", "pre"}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.problems = []
        self.open = []
        self.ids = []
        self.links = []
        self.tables = []
        self.words = []
        self.feed(text)
        self.close()
        self.problems += [f"{tag} is not closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        if tag in ("script", "link", "img", "iframe", "object", "embed", "form", "base"):
            self.problems.append(f"a page has no {tag}")
        self.problems += [f"{tag} has {name}" for name in names if name.startswith("on") or name in ("src", "srcset", "action")]
        if len(names) != len(attributes):
            self.problems.append(f"{tag} has an attribute twice")
        if tag in BLOCKS and self.open and self.open[-1] in MAY_HOLD_NO_BLOCK:
            self.problems.append(f"{tag} inside of {self.open[-1]}")
        if "id" in names:
            self.ids.append(names["id"])
        if tag == "a":
            self.links.append(names.get("href", ""))
        if tag == "table":
            self.tables.append({"caption": 0, "col": 0, "row": 0, "rows": 0})
        if tag == "caption":
            self.tables[-1]["caption"] += 1
        if tag == "th":
            self.tables[-1][names.get("scope", "?")] += 1
        if tag == "tr":
            self.tables[-1]["rows"] += 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"/{tag} closes something else, line {self.getpos()[0]}")

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


class Pages(unittest.TestCase):
    def test_every_page(self):
        names = sorted(name for name in os.listdir(GOLDEN) if name.endswith(".html"))
        self.assertGreaterEqual(len(names), 5)
        for name in names:
            with self.subTest(page=name):
                with open(os.path.join(GOLDEN, name), encoding="utf-8", newline="") as file:
                    text = file.read()
                page = Page(text)
                self.assertEqual(page.problems, [])
                self.assertEqual(len(page.ids), len(set(page.ids)), "an id stands twice")
                for link in page.links:
                    self.assertTrue(link.startswith("./") or link[1:] in page.ids, link)
                for table in page.tables:
                    self.assertEqual(table["caption"], 1)
                    self.assertGreaterEqual(table["col"], 3 if table["rows"] > 2 else 2)
                    self.assertEqual(table["row"], table["rows"] - 1, "each row has its heading")
                self.assertNotIn("url(", text)
                self.assertNotIn("@import", text)
                self.assertIn("default-src 'none'", text)

    def test_the_matrix_says_its_words_without_colours(self):
        with open(os.path.join(GOLDEN, "drill_report.html"), encoding="utf-8") as file:
            words = " ".join(Page(file.read()).words)
        for word in ("false success", "honest failure", "hang", "unproven", "skipped", "different", "same", "3 of 5", "planted"):
            self.assertIn(word, words)

    def test_hostile_bytes_are_text(self):
        with open(os.path.join(GOLDEN, "drill_report_hostile.html"), encoding="utf-8") as file:
            words = "".join(Page(file.read()).words)
        self.assertIn("<script>alert('x')</script>\"&\\x1b[31m", words)


class Sees(unittest.TestCase):
    def test_what_is_wrong(self):
        for text in ("<p><script></script></p>", "<p>", "<b></p></b>", "<a onclick=x></a>", "<p><div></div></p>", "<img src=x>"):
            self.assertNotEqual(Page(text).problems, [], text)


if __name__ == "__main__":
    sys.exit(unittest.main())
