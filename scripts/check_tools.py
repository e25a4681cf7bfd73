"""Says clearly which tool is missing. Runs on any Python 3, before anything is installed."""

import re
import shutil
import subprocess
import sys

missing = []
if sys.version_info < (3, 11):
    missing.append("python3 >= 3.11 (this is %d.%d; set PYTHON=/path/to/python3.11)" % sys.version_info[:2])
node = shutil.which("node")
if node is None:
    missing.append("node >= 20")
else:
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    major = re.match(r"v(\d+)", version)
    if not major or int(major.group(1)) < 20:
        missing.append("node >= 20 (this is %s)" % version.strip())
if shutil.which("npm") is None:
    missing.append("npm, which comes with node")
if shutil.which("kubectl") is None:
    missing.append("kubectl (set RUNE_KUBECTL if it is not on the PATH)")
if missing:
    sys.exit("Rune needs: " + "; ".join(missing))
