"""What a rule may cost at worst, found when it is written: estimates of cel-go and kube-apiserver, number for number.

A definition whose rules could cost too much is refused, so the numbers are part of the API: `interval` has the arithmetic,
`sizes` what a schema says of how large values are, `calls` what each function costs, `estimate` walks an expression.
"""
