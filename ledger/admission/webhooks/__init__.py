"""Admission webhooks: what MutatingWebhookConfigurations and ValidatingWebhookConfigurations want to be asked.

`index` keeps the webhooks and follows the log, `matching` finds those that a write concerns, `review` writes questions
and reads answers, `calling` sends them; `mutating` and `validating` are the two plugins.
"""
