"""The rules that a compiler does not check, each as a function from the files of the project to a list of problems.

A problem is one line: file, line, what is wrong and what is wanted instead. `python3 ci/source_rules.py [RULE...]` prints
the problems of this tree and ends with 1 if there are any; `--update-ratchet` writes ci/length_ratchet.txt anew. The
self-test of each rule, with a planted offender that it must catch, is in source_rules_test.py.

A line may be excused with its reason: `// rule-ok(RULE): reason`.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP_FOLDERS = ("proto", "fakes", "harness", "scenarios", "reports", "ci", "cmake")
RATCHET = "ci/length_ratchet.txt"
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 80

# Lowest first: a folder may use itself and those before it. `reports` stands beside the harness, see MayUse.
LAYERS = (
    "proto",
    "fakes/base", "fakes/sim", "fakes/objects", "fakes/pd", "fakes/tikv", "fakes/ports",
    "harness/client", "harness/drift", "harness/remote", "harness/juicefs", "harness/backup", "harness/judge", "harness/explore",
    "harness/tools", "harness/cli",
)
REPORTS_MAY_USE = ("proto", "fakes/base", "reports")
MAY_USE_REPORTS = ("harness/explore", "harness/tools", "harness/cli", "reports")

# Folders that stand at the edge: threads, sockets and wall clocks are allowed there.
EDGES = ("fakes/ports", "harness/remote", "harness/tools", "harness/cli")
# Here every decision is integer arithmetic.
NO_FLOATING_POINT = ("fakes/base", "fakes/sim", "fakes/objects", "fakes/pd", "fakes/tikv", "harness/client",
                     "harness/drift", "harness/juicefs", "harness/backup", "harness/judge", "harness/explore")

BANNED_EVERYWHERE = (
    (r"\bstd::random_device\b", "randomness comes from a named RandomStream"),
    (r"#\s*include\s*[<\"]absl/", "Abseil is no package of this project and its hash order changes per process"),
)
BANNED_INSIDE = (
    (r"\bstd::unordered_\w+", "iteration order depends on the library: use std::map or std::set"),
    (r"\bstd::hash\b", "differs between libraries: use fakes/base/digest.h"),
    (r"\b(?:system|steady|high_resolution)_clock\b|\bclock_gettime\b|\bgettimeofday\b|(?<![\w.:>])(?:std::)?time\s*\(\s*(?:nullptr|NULL|0)\s*\)",
     "time is the scheduler's virtual clock"),
    (r"\bsleep_(?:for|until)\b|(?<![\w.>])u?sleep\s*\(|\bnanosleep\b", "waiting is an event of the scheduler"),
    (r"\bthread_local\b", "a world owns all its state"),
    (r"\bstd::(?:async|thread|jthread|mutex|shared_mutex|condition_variable\w*|future|promise)\b",
     "one thread: use Task and Scope"),
    (r"\bgetenv\b|\bsetlocale\b|\bstd::locale\b", "a run is a function of its case, not of the environment"),
    (r"\bstd::\w+_distribution\b|\bstd::shuffle\b|\bstd::mt19937\w*|\bstd::default_random_engine\b|(?<![\w.>])s?rand\s*\(",
     "results differ between libraries: use RandomStream"),
    (r"^(?!.*(?:__FILE__|CONCAT)).*\b__LINE__\b|\btypeid\b", "no stable identity: write a name"),
    (r"\b(?:socket|accept|bind|connect)\s*\(\s*AF_", "sockets belong to the edge folders"),
)


class Problem(str):
    """One line for people."""


def ReadTree(root=ROOT):
    """Relative path -> text of every text file of the project; other files map to None."""
    files = {}
    for name in sorted(os.listdir(root)):
        if name != ".git" and os.path.isfile(os.path.join(root, name)):
            files[name] = ReadText(os.path.join(root, name))
    for top in TOP_FOLDERS + (".ci",):
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(f for f in folders if f not in ("__pycache__",))
            for name in sorted(names):
                path = os.path.join(folder, name)
                files[os.path.relpath(path, root).replace(os.sep, "/")] = ReadText(path)
    return files


def ReadText(path):
    with open(path, "rb") as file:
        data = file.read()
    if b"\0" in data or data[:2] == b"\x1f\x8b" or data[:4] == b"\x28\xb5\x2f\xfd":
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def IsSource(path):
    return path.endswith((".h", ".cc")) and path.split("/")[0] in ("fakes", "harness", "reports", "ci", "proto")


def IsTest(path):
    """Tests, benchmarks and what only they use; their file names say so."""
    name = path.rsplit("/", 1)[-1]
    return bool(re.search(r"(_test|_bench|_fuzzer)\.cc$|^test_\w+\.(h|cc)$|_test_\w+\.(h|cc)$|_testing\.(h|cc)$|"
                          r"^fuzz_replay_main\.cc$", name))


def LayerOf(path):
    for layer in LAYERS + ("reports",):
        if path.startswith(layer + "/"):
            return layer
    return None


_TOKEN = re.compile(
    r'(?P<comment>//[^\n]*|/\*.*?\*/)'
    r'|(?P<raw>R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)")'
    r'|(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<char>(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+')",
    re.DOTALL)


def StripCode(text):
    """The text with comments and literals blanked; lines keep their numbers. Include lines keep their names."""

    def Blank(match):
        if match.lastgroup == "string" or match.group("string"):
            line_start = text.rfind("\n", 0, match.start()) + 1
            if re.match(r"\s*#\s*include\b", text[line_start:match.start()] + " "):
                return match.group(0)
        kept = "".join("\n" if c == "\n" else " " for c in match.group(0))
        if match.group("comment"):
            return kept
        return '"' + kept[1:-1] + '"' if len(kept) >= 2 and "\n" not in kept else kept

    return _TOKEN.sub(Blank, text)


def Excused(line, rule):
    return re.search(r"//\s*rule-ok\(" + rule + r"\):\s*\S+", line) is not None


def MayUse(user, used):
    if user == used:
        return True
    if user == "reports":
        return used in REPORTS_MAY_USE
    if used == "reports":
        return user in MAY_USE_REPORTS
    return LAYERS.index(used) < LAYERS.index(user)


def CheckLayers(files):
    """Includes and proto imports follow the arrows of the layer table."""
    problems = []
    for path, text in files.items():
        if text is None or not (IsSource(path) or path.endswith(".proto")):
            continue
        user = LayerOf(path)
        if user is None:
            if path.startswith("ci/"):
                continue
            problems.append(Problem(f"{path}: stands in no folder of the layer table (ARCHITECTURE.md)"))
            continue
        pattern = r'import\s+(?:public\s+)?"([^"]+)"' if path.endswith(".proto") else r'#\s*include\s*"([^"]+)"'
        for number, line in enumerate(text.split("\n"), 1):
            match = re.match(r"\s*" + pattern, line)
            if not match or match.group(1).startswith("google/protobuf/"):
                continue
            used = LayerOf(match.group(1))
            if used is None:
                problems.append(Problem(f"{path}:{number}: includes \"{match.group(1)}\": quoted includes are written from "
                                        "the root of the repository; packages take angle brackets"))
            elif not MayUse(user, used):
                problems.append(Problem(f"{path}:{number}: {user} must not use {used} ({match.group(1)})"))
    return problems


def CheckBannedCalls(files):
    """Nothing that lets a library, a clock or the machine decide, outside the edge folders."""
    problems = []
    for path, text in files.items():
        if text is None or not IsSource(path):
            continue
        layer = LayerOf(path)
        bans = list(BANNED_EVERYWHERE)
        if layer not in EDGES and not IsTest(path) and layer is not None:
            bans += BANNED_INSIDE
            if layer in NO_FLOATING_POINT:
                bans.append((r"\b(?:float|double)\b", "decisions are integers: parts per million, microseconds"))
        original = text.split("\n")
        for number, line in enumerate(StripCode(text).split("\n"), 1):
            for pattern, reason in bans:
                match = re.search(pattern, line)
                if match and not Excused(original[number - 1], "banned"):
                    problems.append(Problem(f"{path}:{number}: {match.group(0).strip()}: {reason}"))
    return problems


_INITIALISER_END = re.compile(r"\s*[,{]")


def Functions(text):
    """(name, first line, lines) of every function body, found by braces; a lambda belongs to the function around it."""
    code = re.sub(r"(?m)^\s*#(?:[^\n\\]|\\\n|\\.)*", lambda m: "\n" * m.group(0).count("\n"), StripCode(text))
    found = []
    kinds = []
    start = 0
    for match in re.finditer(r"[{};]", code):
        char = match.group(0)
        if char == ";":
            start = match.end()
            continue
        if char == "}":
            if kinds:
                kind, name, first, head_start = kinds.pop()
                if _INITIALISER_END.match(code, match.end()):
                    start = head_start  # `a_{1},` or `a_{1} {`: an initialiser of a constructor, whose body comes later
                    continue
                if kind == "function":
                    found.append((name, first, code.count("\n", 0, match.start()) + 2 - first))
            start = match.end()
            continue
        head = code[start:match.start()]
        first = code.count("\n", 0, start + len(head) - len(head.lstrip())) + 1
        inside_function = any(kind == "function" for kind, _, _, _ in kinds)
        name = "" if inside_function else FunctionName(head)
        kinds.append((BlockKind(head, inside_function), name, first, start))
        start = match.end()
    return found


def BlockKind(head, inside_function):
    if inside_function:
        return "inner"
    if re.search(r"\bnamespace\b|\bextern\b", head) and "(" not in head:
        return "namespace"
    if re.search(r"\b(class|struct|union|enum)\b", head) and not re.search(r"\)\s*(const|noexcept|override|\s)*$", head):
        return "class"
    return "function" if "(" in head else "inner"


def FunctionName(head):
    head = " ".join(head.split())
    test = re.match(r"(?:TEST|TEST_F|TEST_P|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\s*\(\s*([\w]+)\s*,\s*([\w]+)", head)
    if test:
        return f"{test.group(1)}.{test.group(2)}"
    name = re.search(r"([\w:~]+|operator\S+)\s*\(", head)
    return name.group(1) if name else "?"


def MeasuredLengths(files):
    """Everything that is over a limit: key -> (lines, limit, where). Keys are 'path' or 'path function'."""
    over = {}
    for path, text in files.items():
        if text is None or not (IsSource(path) or path.endswith(".py")):
            continue
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            over[path] = (lines, FILE_LINES_MAX, path)
        if not IsSource(path):
            continue
        for name, first, count in Functions(text):
            if count > FUNCTION_LINES_MAX:
                key = f"{path} {name}"
                if key not in over or over[key][0] < count:
                    over[key] = (count, FUNCTION_LINES_MAX, f"{path}:{first}")
    return over


def ParseRatchet(text):
    entries = {}
    for line in (text or "").split("\n"):
        line = line.split("#")[0].strip()
        if line:
            key, lines = line.rsplit(None, 1)
            entries[key] = int(lines)
    return entries


def CheckLengths(files):
    """Files and functions stay small; what is over a limit is in the ratchet file and may only shrink."""
    problems = []
    allowed = ParseRatchet(files.get(RATCHET))
    over = MeasuredLengths(files)
    for key, (lines, limit, where) in over.items():
        bound = allowed.get(key, limit)
        if lines > bound:
            what = "function " + key.split(" ", 1)[1] if " " in key else "file"
            problems.append(Problem(f"{where}: {what} has {lines} lines, at most {bound} are allowed: split it by concept"))
    for key in allowed:
        if key not in over:
            problems.append(Problem(f"{RATCHET}: {key} is within its limit now: take the line out"))
    return problems


# Written in pieces, so that this file does not hold what it looks for.
_WORDS = (
    (r"\b(?:TO" r"DO|FIX" r"ME|HA" r"CK|X" r"XX)\b", "unfinished work is an issue, not a comment"),
    (r"(?<![\w.])/wo" r"rk/|\.\./sh" r"ared\b|/ho" r"me/\w+|\bHELP" r"ERS\.md\b|(?<![\w/])fa" r"cts/[a-z]|"
     r"\bstyle-exem" r"plars\b|\bdesign\.m" r"d\b", "points at something outside the repository"),
    (r"(?i)\bco-authored" r"-by\b|\bgenerated " r"with\b", "no attribution lines"),
)


def CheckWords(files):
    """The project stands alone and holds no unfinished work."""
    problems = []
    for path, text in files.items():
        if text is None or path in ("LICENSE",) or path.startswith("scenarios/backups/"):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            for pattern, reason in _WORDS:
                match = re.search(pattern, line)
                if match and not re.search(r"rule-ok\(words\)", line):
                    problems.append(Problem(f"{path}:{number}: \"{match.group(0)}\": {reason}"))
    return problems


def NamesIn(text):
    """Every word of a CMakeLists.txt or README; `${name}` inside a foreach stands for each value of its list."""
    text = re.sub(r"(?m)#.*$", "", text or "")
    names = set(re.findall(r"[\w./-]+", text))
    for loop in re.finditer(r"\bforeach\s*\(\s*(\w+)\s+([^)]*)\)(.*?)\bendforeach\b", text, re.DOTALL):
        for value in loop.group(2).split():
            names |= set(re.findall(r"[\w./-]+", loop.group(3).replace("${" + loop.group(1) + "}", value)))
    return names


def CheckRegistered(files):
    """No source, message file, case or recorded data that nothing builds, runs or explains."""
    problems = []
    all_named = set()
    for path, text in files.items():
        if path.endswith("CMakeLists.txt"):
            all_named |= {name.rsplit("/", 1)[-1] for name in NamesIn(text)}
    for path in files:
        folder, _, name = path.rpartition("/")
        if path.endswith((".cc", ".proto")) and path.split("/")[0] in ("proto", "fakes", "harness", "reports"):
            if name not in NamesIn(files.get(folder + "/CMakeLists.txt")):
                problems.append(Problem(f"{path}: is in no target of {folder}/CMakeLists.txt"))
        if path.startswith("scenarios/") and path.endswith(".case") and name not in all_named:
            problems.append(Problem(f"{path}: no CMakeLists.txt registers this case, so no test runs it"))
        match = re.match(r"(scenarios/(?:volumes|backups))/([^/]+)/", path)
        if match and match.group(2) not in NamesIn(files.get(match.group(1) + "/README.md")):
            problems.append(Problem(f"{path}: {match.group(1)}/README.md does not say what {match.group(2)} is"))
    return sorted(set(problems))


# What a find_package or pkg_check_modules needs, as Debian packages; None is part of the compiler.
CMAKE_PACKAGES = {
    "Threads": None, "Protobuf": "libprotobuf-dev", "fmt": "libfmt-dev", "nlohmann_json": "nlohmann-json3-dev",
    "GTest": "libgmock-dev", "rapidcheck": "librapidcheck-dev", "benchmark": "libbenchmark-dev", "PkgConfig": "pkg-config",
    "CLI11": "libcli11-dev", "Python3": "python3", "RapidJSON": "rapidjson-dev", "libxxhash": "libxxhash-dev",
    "libzstd": "libzstd-dev", "rocksdb": "librocksdb-dev", "zlib": "zlib1g-dev", "libcrypto": "libssl-dev",
    "liblz4": "liblz4-dev", "Snappy": "libsnappy-dev", "libssl": "libssl-dev", "grpc++": "libgrpc++-dev",
    "cpp-httplib": "libcpp-httplib-dev", "liblzma": "liblzma-dev",
    "libcurl": "libcurl4-openssl-dev", "pugixml": "libpugixml-dev", "fuse3": "libfuse3-dev",
}


def CheckPackages(files):
    """Everything that CMake looks for is installed by ci/setup."""
    problems = []
    listed = set(line.strip() for line in (files.get("ci/packages.txt") or "").splitlines())
    for path, text in files.items():
        if not path.endswith("CMakeLists.txt") or text is None:
            continue
        for match in re.finditer(r"\b(?:find_package\s*\(\s*(\w+)|pkg_check_modules\s*\([^)]*?([\w.+-]+)\s*\))", text):
            name = match.group(1) or match.group(2)
            if name not in CMAKE_PACKAGES:
                problems.append(Problem(f"{path}: {name}: name its Debian package in CMAKE_PACKAGES of ci/source_rules.py"))
            elif CMAKE_PACKAGES[name] is not None and CMAKE_PACKAGES[name] not in listed:
                problems.append(Problem(f"{path}: {name}: {CMAKE_PACKAGES[name]} is not in ci/packages.txt"))
    return problems


RULES = {
    "packages": CheckPackages,
    "layers": CheckLayers,
    "banned-calls": CheckBannedCalls,
    "lengths": CheckLengths,
    "words": CheckWords,
    "registered": CheckRegistered,
}


def UpdateRatchet(files):
    lines = ["# What is longer than the limits of ci/source_rules.py allow, as `path [function] lines`. Lines may only go",
             "# down; `python3 ci/source_rules.py --update-ratchet` writes this file."]
    lines += [f"{key} {lines_now}" for key, (lines_now, _, _) in sorted(MeasuredLengths(files).items())]
    with open(os.path.join(ROOT, RATCHET), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main(arguments):
    files = ReadTree()
    if arguments == ["--update-ratchet"]:
        UpdateRatchet(files)
        return 0
    names = arguments or list(RULES)
    unknown = [name for name in names if name not in RULES]
    if unknown:
        print(f"unknown rule {unknown[0]}; known are: {', '.join(RULES)}", file=sys.stderr)
        return 2
    problems = [problem for name in names for problem in RULES[name](files)]
    for problem in problems:
        print(problem)
    sources = sum(1 for path in files if IsSource(path))
    print(f"{len(problems)} problems in {sources} sources, {len(files)} files; rules: {', '.join(names)}")
    return 1 if problems or sources == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
