"""Reports of the thread sanitizer about our own code: `python3 ci/thread_reports.py FOLDER` reads FOLDER/thread_report.*, prints
them and ends with 1 if there are any, and with 2 unless the planted race (ci/planted_race_test.cc) was reported.

Libraries of the system are built without the sanitizer, so it does not see how they order threads, and reports what they do. A
report is ours when the first frame of each of its stacks that is neither the sanitizer's nor the standard library's is ours: code of
this project, not code of a library's header that was compiled into it.
"""

import glob
import os
import re
import sys

PLANTED = "PlantedRace"
FRAME = re.compile(r"#\d+ (?P<name>.*?) (?P<file>\S+?)(?::\d+)* \((?P<module>\S+?)\+0x")


def FirstFrame(stack):
    """The file of the frame that says whose the access is; "" without one."""
    for frame in FRAME.finditer(stack):
        transparent = "libsanitizer" in frame["file"] or "/include/c++/" in frame["file"] or frame["module"].startswith(("libtsan", "libstdc++"))
        if not transparent:
            return frame["file"]
    return ""


def IsOurs(report):
    stacks = re.split(r"\n  (?=Location|Thread T|Mutex|As if|Hint)", report)[0].split("\n\n")
    files = [FirstFrame(stack) for stack in stacks if "#0" in stack]
    return bool(files) and all(file and not file.startswith(("/usr/", "<")) for file in files)


def Reports(text):
    return [report for report in text.split("==================\n") if "WARNING: ThreadSanitizer" in report]


def main():
    reports = []
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "thread_report.*"))):
        with open(path, encoding="utf-8", errors="replace") as file:
            reports += Reports(file.read())
    ours = [report for report in reports if IsOurs(report)]
    planted = [report for report in ours if PLANTED in report]
    found = [report for report in ours if PLANTED not in report]
    for report in found[:20]:
        print(report)
    print(f"thread reports: {len(found)} about our code, {len(planted)} about the planted race, {len(reports) - len(ours)} about libraries")
    return 1 if found else 0 if planted else 2


if __name__ == "__main__":
    sys.exit(main())
