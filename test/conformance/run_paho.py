"""Runs one of the Eclipse Paho conformance suites against a broker: run_paho.py SUITE_FILE PORT [CASE ...]

Prints one line of JSON per case: {"case": name, "failure": null or the last lines of its traceback}. The suite is not part of this
repository; it reads its options itself, in ways that differ between its files, so that this stands between it and unittest.
"""

import json
import os
import runpy
import sys
import unittest

suite_file, port, *cases = sys.argv[1:]
report = os.fdopen(os.dup(1), "w")


class Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.failure = None

    def addFailure(self, test, error):
        self.failure = self._exc_info_to_string(error, test)

    addError = addFailure

    def stopTest(self, test):
        report.write(json.dumps({"case": test.id().split(".")[-1], "failure": self.failure and self.failure[-600:]}) + "\n")
        report.flush()


class Runner:
    def run(self, tests):
        result = Result()
        tests(result)
        return result


def run_cases():
    argv = ["paho", *(f"Test.{case}" for case in cases)]
    unittest.TestProgram(argv=argv, module="__main__", testRunner=Runner(), exit=False)


unittest.main = run_cases
# what the suite prints is for people
os.dup2(2, 1)
os.chdir(os.path.dirname(os.path.abspath(suite_file)))
sys.path.insert(0, os.getcwd())
sys.argv = [suite_file, "-p", port]
runpy.run_path(suite_file, run_name="__main__")
