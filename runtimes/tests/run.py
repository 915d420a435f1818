"""Runs the runtimes' bootstraps under every interpreter of this machine.

    python3 runtimes/tests/run.py [--python PATH]… [--node PATH]… [--ruby PATH]… [--java PATH]… [NAME]

Without paths it looks for python3.10 to 3.14 node 18 to 24 ruby 3 and newer, and every JDK in the usual places. NAME picks cases
that contain it. The last line counts what ran; the exit code is 1 if anything failed.
"""

import argparse
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def pythons():
    places = os.environ["PATH"].split(":") + ["/usr/local/bin", "/usr/bin"]
    places += glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin")) + glob.glob("/opt/*/bin")
    for minor in range(10, 15):
        for place in places:
            path = os.path.join(place, "python3.%d" % minor)
            if os.access(path, os.X_OK) and "/shims" not in path:
                yield path
                break


def nodes():
    places = glob.glob(os.path.expanduser("~/.nvm/versions/node/*/bin")) + glob.glob("/opt/*/bin")
    found = [shutil.which("node")] + [os.path.join(place, "node") for place in places]
    return [path for path in found if path and os.access(path, os.X_OK)]


def rubies():
    places = ["/usr/bin", "/usr/local/bin"] + glob.glob("/opt/*/bin")
    for manager in ("~/.rbenv/versions", "~/.rubies", "~/.asdf/installs/ruby"):
        places += glob.glob(os.path.expanduser(manager) + "/*/bin")
    found = {os.path.realpath(os.path.join(place, "ruby")) for place in places}
    return [path for path in sorted(found) if os.access(path, os.X_OK) and version(path) >= (3, 0)]


def javas():
    places = glob.glob("/usr/lib/jvm/*/bin") + glob.glob("/opt/*/bin") + glob.glob("/opt/java/*/bin")
    places += glob.glob(os.path.expanduser("~/.sdkman/candidates/java/*/bin"))
    has = lambda place: os.access(os.path.join(place, "javac"), os.X_OK)
    return sorted({os.path.join(os.path.realpath(place), "java") for place in places if has(place)})


def version(path):
    """Major and minor version; of a JDK the major one alone, `1.8` being 8."""
    if os.path.basename(path) == "java":
        told = subprocess.run([path, "-version"], capture_output=True, text=True, check=True).stderr
        parts = [int(part) for part in re.findall(r"\d+", told)[:2]]
        return (parts[1] if parts[0] == 1 else parts[0],)
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def cases(kind, pick):
    for name in vars(type(kind)):
        if not name.startswith("_") and name != "run" and pick in name:
            yield name, getattr(kind, name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", action="append")
    parser.add_argument("--node", action="append")
    parser.add_argument("--ruby", action="append")
    parser.add_argument("--java", action="append")
    parser.add_argument("pick", nargs="?", default="")
    args = parser.parse_args()
    some = args.python or args.node or args.ruby or args.java
    suites = []
    for path in args.python or ([] if some else pythons()):
        from python_cases import Cases

        for template in (False, True)[: 1 + (version(path) >= (3, 9))]:
            suite = Cases(path, version(path), template)
            suites.append((suite, HERE.parent / "python" / "bootstrap.py", path))
    for path in args.node or ([] if some else nodes()):
        from nodejs_cases import Cases

        suites.append((Cases(path, version(path)), HERE.parent / "nodejs" / "index.cjs", path))
    for path in args.ruby or ([] if some else rubies()):
        from ruby_cases import Cases

        suites.append((Cases(path, version(path)), HERE.parent / "ruby" / "bootstrap.rb", path))
    for path in args.java or ([] if some else javas()):
        from java_cases import Cases

        suites.append((Cases(path, version(path)), HERE.parent / "java", path))
    passed = failed = 0
    for suite, bootstrap, path in suites:
        for name, case in cases(suite, args.pick):
            try:
                case(str(bootstrap))
                passed += 1
            except Exception:
                failed += 1
                print("FAILED %s %s" % (path, name))
                traceback.print_exc()
    print("%d passed, %d failed, %d interpreters" % (passed, failed, len(suites)))
    sys.exit(1 if failed or not suites else 0)


main()
