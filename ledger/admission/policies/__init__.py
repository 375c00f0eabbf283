"""Admission policies written in CEL: ValidatingAdmissionPolicy and MutatingAdmissionPolicy, and their bindings.

`index` keeps the policies and follows the log, `evaluation` runs their expressions, `parameters` finds what bindings
refer to, `hooks` joins the three for one write; `validating` and `mutating` are the two plugins.
"""
