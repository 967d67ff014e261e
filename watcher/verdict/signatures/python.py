"""Python packages that do not fit together."""

import re

from watcher.model.verdict import FailureClass
from watcher.verdict.signatures.row import Signature, either

DEPS = FailureClass.PYTHON_DEPS

SIGNATURES = (
    Signature(
        id="missing-module",
        failure_class=DEPS,
        hints=("no module named", "cannot import name", "packagenotfounderror", "distributionnotfound",
               "no package metadata", "importerror"),
        pattern=either(
            r"(?:ModuleNotFoundError|ImportError): No module named",
            r"\bNo module named '?[\w.]+'?",
            r"cannot import name '?\w+",
            r"PackageNotFoundError|DistributionNotFound|No package metadata was found",
        ),
        unless=re.compile(r"Import error msg"),
        title="a Python package is missing, or is another version than its user expects",
        weight=70,
        taught_by="python/module-not-found",
    ),
    Signature(
        id="binary-mismatch",
        failure_class=DEPS,
        hints=("undefined symbol", "symbol lookup error", "glibc", "tried to instantiate class", "does not exist",
               "has no attribute", "could not run", "incompatible function arguments", "cxxabi"),
        pattern=either(
            r"undefined symbol: ?\S+",
            r"symbol lookup error:",
            r"version [`'](?:GLIBC\w*|CXXABI)_[\d.]+'? not found",
            r"Tried to instantiate class '.*', but it does not exist",
            r"operator \w+::\w+ does not exist|Could not run '\w+::\w+' with arguments from the",
            r"'_OpNamespace' '\w+' object has no attribute",
            r"AttributeError: (?:partially initialized )?module '[\w.]+' has no attribute",
        ),
        title="a compiled extension was built against something else",
        weight=68,
        taught_by="vllm/extension-undefined-symbol",
    ),
    Signature(
        id="numpy-abi",
        failure_class=DEPS,
        hints=("_array_api", "numpy is not available", "numpy.dtype size", "multiarray failed", "using numpy",
               "numpy version", "numpy.core"),
        pattern=either(
            r"_ARRAY_API not found",
            r"Numpy is not available",
            r"compiled using NumPy \d+\.x cannot be run",
            r"numpy\.(?:dtype|ndarray) size changed|numpy\.core\.multiarray failed to import",
            flags=re.IGNORECASE,
        ),
        title="built against another NumPy",
        weight=68,
        taught_by="pytorch/numpy-abi",
    ),
    Signature(
        id="installation",
        failure_class=DEPS,
        hints=("no matching distribution", "could not find a version", "resolutionimpossible", "supported wheel",
               "failed building wheel", "could not build wheels", "subprocess-exited-with-error",
               "dependency resolver", "requires-python", "requires a different python", "versionconflict",
               "not compiled with cuda", "failed to build installable", "requires python", "importlib"),
        pattern=either(
            r"No matching distribution found|Could not find a version that satisfies|ResolutionImpossible",
            r"is not a supported wheel on this platform|requires a different Python|Requires-Python",
            r"Failed building wheel for|Could not build wheels|Failed to build installable wheels",
            r"error: subprocess-exited-with-error",
            r"ERROR: pip's dependency resolver",
            r"VersionConflict",
            r"Torch not compiled with CUDA enabled",
            r"ImportError: .{0,80}?(?:requires|is required for|is required to)\b",
        ),
        title="packages could not be installed, or were built without what is needed",
        weight=66,
        taught_by="python/no-matching-distribution",
    ),
    Signature(
        id="import-error",
        failure_class=DEPS,
        hints=("importerror",),
        pattern=re.compile(r"^(?:\w+\.)*ImportError\b"),
        unless=re.compile(r"cannot open shared object|libcuda|libnv|libgomp"),
        title="an import failed",
        weight=55,
        taught_by="python/import-error",
    ),
)  # fmt: skip
