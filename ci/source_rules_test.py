"""Self-tests of ci/source_rules.py (each rule must catch its planted offenders and leave the innocent alone), and the
rules themselves over this tree. Run one test by name: python3 ci/source_rules_test.py ThisTree.test_layers
"""

import unittest

import source_rules as rules


def Problems(rule, files):
    return [str(problem) for problem in rules.RULES[rule](files)]


class Layers(unittest.TestCase):
    def Offends(self, path, line):
        return len(Problems("layers", {path: f"// x\n{line}\n"})) == 1

    def test_catches_every_wrong_arrow(self):
        count = 0
        for low, user in enumerate(rules.LAYERS):
            for used in rules.LAYERS[low + 1:]:
                with self.subTest(user=user, used=used):
                    self.assertTrue(self.Offends(f"{user}/a.cc", f'#include "{used}/b.h"'))
                    count += 1
        self.assertEqual(count, len(rules.LAYERS) * (len(rules.LAYERS) - 1) // 2)

    def test_lets_every_right_arrow_pass(self):
        for high, user in enumerate(rules.LAYERS):
            for used in rules.LAYERS[:high + 1]:
                with self.subTest(user=user, used=used):
                    self.assertFalse(self.Offends(f"{user}/a.h", f'#include "{used}/b.h"'))

    def test_keeps_reports_on_records_alone(self):
        self.assertFalse(self.Offends("reports/a.cc", '#include "proto/kvjury/verdict.pb.h"'))
        self.assertFalse(self.Offends("reports/a.cc", '#include "fakes/base/status.h"'))
        self.assertTrue(self.Offends("reports/a.cc", '#include "fakes/sim/world.h"'))
        self.assertTrue(self.Offends("reports/a.cc", '#include "harness/judge/judge.h"'))
        self.assertTrue(self.Offends("harness/judge/a.cc", '#include "reports/run_report.h"'))
        self.assertFalse(self.Offends("harness/cli/a.cc", '#include "reports/run_report.h"'))

    def test_catches_relative_includes_unknown_folders_and_proto_imports(self):
        self.assertTrue(self.Offends("fakes/sim/a.cc", '#include "world.h"'))
        self.assertTrue(self.Offends("fakes/other/a.cc", ""))
        self.assertTrue(self.Offends("proto/tikv/a.proto", 'import "fakes/a.proto";'))
        self.assertFalse(self.Offends("proto/tikv/a.proto", 'import "proto/tikv/metapb.proto";'))


class BannedCalls(unittest.TestCase):
    OFFENDERS = (
        "std::unordered_map<int, int> m;", "size_t h = std::hash<int>()(1);",
        "auto t = std::chrono::steady_clock::now();", "auto t = time(nullptr);",
        "std::this_thread::sleep_for(x);", "usleep(3);", "std::random_device device;", "thread_local int x = 0;",
        "auto f = std::async(Work);", "std::thread t(Work);", "std::mutex m;", 'getenv("HOME");',
        'setlocale(LC_ALL, "");', "std::uniform_int_distribution<int> d(1, 6);",
        "std::shuffle(a.begin(), a.end(), g);", "std::mt19937_64 g;", "int r = rand();", "int id = __LINE__;",
        "auto n = typeid(x).name();", "double odds = 1;", "float f = 0;", "#include <absl/container/flat_hash_map.h>",
    )
    INNOCENT = (
        "// std::unordered_map would not do", 'Log("std::hash of a double");', "int operand(int a);",
        "int64_t commit_time(uint64_t ts);", "auto t = clock.time(0);", "ASSIGN(CONCAT(x, __LINE__));",
        "std::string doubled;", "uint64_t x = 1'000'000; // double",
        "double share = 0;  // rule-ok(banned): printed only",
    )

    def test_catches_every_banned_call(self):
        for line in self.OFFENDERS:
            for folder in ("fakes/sim", "harness/judge"):
                with self.subTest(line=line, folder=folder):
                    self.assertEqual(len(Problems("banned-calls", {f"{folder}/a.cc": f"{line}\n"})), 1)

    def test_leaves_comments_literals_and_other_words_alone(self):
        for line in self.INNOCENT:
            with self.subTest(line=line):
                self.assertEqual(Problems("banned-calls", {"fakes/sim/a.cc": f"{line}\n"}), [])

    def test_allows_clocks_at_the_edge_and_in_tests_but_no_random_device(self):
        clock = "auto t = std::chrono::steady_clock::now();\n"
        for path in ("harness/cli/main.cc", "fakes/ports/server.cc", "fakes/sim/a_test.cc", "fakes/sim/a_bench.cc"):
            self.assertEqual(Problems("banned-calls", {path: clock}), [])
            self.assertEqual(len(Problems("banned-calls", {path: "std::random_device d;\n"})), 1)

    def test_an_excuse_needs_a_reason(self):
        self.assertEqual(len(Problems("banned-calls", {"fakes/sim/a.cc": "double x;  // rule-ok(banned):\n"})), 1)

    def test_knows_raw_strings_and_multi_line_comments(self):
        text = 'auto s = R"(\nstd::hash\n)";\n/* std::hash\n std::hash */\nstd::hash<int> h;\n'
        self.assertEqual(len(Problems("banned-calls", {"fakes/sim/a.cc": text})), 1)
        self.assertIn("a.cc:6:", Problems("banned-calls", {"fakes/sim/a.cc": text})[0])


def FunctionOf(lines, head="int Long(int a) {"):
    return "namespace kvjury {\n\n" + head + "\n" + "  if (a) { a++; }\n" * (lines - 2) + "}\n\n}  // namespace kvjury\n"


class Lengths(unittest.TestCase):
    def test_catches_a_file_above_the_limit(self):
        self.assertEqual(Problems("lengths", {"fakes/sim/a.h": "// x\n" * rules.FILE_LINES_MAX}), [])
        self.assertEqual(len(Problems("lengths", {"fakes/sim/a.h": "// x\n" * (rules.FILE_LINES_MAX + 1)})), 1)

    def test_catches_a_function_above_the_limit_in_every_form(self):
        longest = rules.FUNCTION_LINES_MAX
        for head in ("int Long(int a) {", "Task<Result<int>> Store::Long(std::map<int, int> a) {",
                     "Long::Long(int a) : a_(a), b_{1} {", "TEST(Long, IsTooLong) {",
                     "struct Long { int a; void Run(int a) {", "Long MakeLong(const struct stat& a) const {"):
            with self.subTest(head=head):
                end = "};" if head.startswith("struct") else ""
                self.assertEqual(Problems("lengths", {"fakes/sim/a.cc": FunctionOf(longest, head) + end}), [])
                self.assertEqual(len(Problems("lengths", {"fakes/sim/a.cc": FunctionOf(longest + 1, head) + end})), 1)

    def test_the_ratchet_lets_nothing_grow_and_forgets_what_shrank(self):
        long = rules.FUNCTION_LINES_MAX + 5
        files = {"fakes/sim/a.cc": FunctionOf(long), rules.RATCHET: f"# why\nfakes/sim/a.cc Long {long}\n"}
        self.assertEqual(Problems("lengths", files), [])
        files["fakes/sim/a.cc"] = FunctionOf(long + 1)
        self.assertEqual(len(Problems("lengths", files)), 1)
        files["fakes/sim/a.cc"] = FunctionOf(10)
        self.assertEqual(len(Problems("lengths", files)), 1)


class Words(unittest.TestCase):
    def test_catches_unfinished_work_and_places_outside_the_repository(self):
        for text in ("// TO" + "DO: later", "# FIX" + "ME", "see /wo" + "rk/x", "see ../sha" + "red/x", "/ho" + "me/a/b",
                     "fa" + "cts/tikv 4.5", "Co-authored" + "-by: x"):
            with self.subTest(text=text):
                self.assertEqual(len(Problems("words", {"fakes/sim/a.cc": text + "\n"})), 1)

    def test_leaves_ordinary_words_alone(self):
        for text in ("a network/worker/x", "artefacts/files", "shared state", "mastodon"):
            self.assertEqual(Problems("words", {"fakes/sim/a.cc": text + "\n"}), [])


class Registered(unittest.TestCase):
    def test_catches_a_source_that_no_target_builds(self):
        files = {"fakes/sim/a.cc": "", "fakes/sim/CMakeLists.txt": "kvjury_library(NAME sim SRCS a.cc)\n"}
        self.assertEqual(Problems("registered", files), [])
        files["fakes/sim/CMakeLists.txt"] = "kvjury_library(NAME sim SRCS aa.cc # a.cc\n)\n"
        self.assertEqual(len(Problems("registered", files)), 1)

    def test_reads_the_values_of_a_loop(self):
        files = {"fakes/sim/a_fuzzer.cc": "", "fakes/sim/c_fuzzer.cc": "",
                 "fakes/sim/CMakeLists.txt": "foreach(x a b)\n  kvjury_fuzzer(SRCS ${x}_fuzzer.cc)\nendforeach()\n"}
        self.assertEqual(len(Problems("registered", files)), 1)
        self.assertIn("c_fuzzer.cc", Problems("registered", files)[0])

    def test_catches_a_case_that_no_test_runs(self):
        files = {"scenarios/split.case": "", "harness/explore/CMakeLists.txt": "scenarios/split.case\n"}
        self.assertEqual(Problems("registered", files), [])
        files["harness/explore/CMakeLists.txt"] = ""
        self.assertEqual(len(Problems("registered", files)), 1)

    def test_catches_recorded_data_that_nobody_explains(self):
        files = {"scenarios/volumes/rich/kv.tsv.gz": None, "scenarios/volumes/README.md": "| `rich` | many |\n"}
        self.assertEqual(Problems("registered", files), [])
        files["scenarios/volumes/poor/kv.tsv.gz"] = None
        self.assertEqual(len(Problems("registered", files)), 1)


class Packages(unittest.TestCase):
    def test_catches_what_setup_does_not_install(self):
        files = {"CMakeLists.txt": "find_package(fmt REQUIRED)\npkg_check_modules(z REQUIRED IMPORTED_TARGET zlib)\n",
                 "ci/packages.txt": "# text\nlibfmt-dev\nzlib1g-dev\n"}
        self.assertEqual(Problems("packages", files), [])
        self.assertEqual(len(Problems("packages", {**files, "ci/packages.txt": "libfmt-dev\n# zlib1g-dev\n"})), 1)
        self.assertEqual(len(Problems("packages", {**files, "a/CMakeLists.txt": "find_package(Boost)\n"})), 1)


class ThisTree(unittest.TestCase):
    """The rules over the files of this project."""

    @classmethod
    def setUpClass(cls):
        cls.files = rules.ReadTree()

    def Holds(self, rule):
        self.assertGreater(sum(1 for path in self.files if rules.IsSource(path)), 60)
        problems = Problems(rule, self.files)
        self.assertEqual(problems, [], "\n" + "\n".join(problems))

    def test_layers(self):
        self.Holds("layers")

    def test_banned_calls(self):
        self.Holds("banned-calls")

    def test_lengths(self):
        self.Holds("lengths")

    def test_words(self):
        self.Holds("words")

    def test_packages(self):
        self.Holds("packages")

    def test_registered(self):
        self.Holds("registered")


if __name__ == "__main__":
    unittest.main()
