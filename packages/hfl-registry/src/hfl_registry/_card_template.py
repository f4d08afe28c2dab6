"""The built-in template of a card's text; sections without facts are left out, not filled with phrases."""

from __future__ import annotations

__all__ = ["TEMPLATE"]

# `section` marks what is generated, so that a later publication renews it where nobody edited it.
TEMPLATE = """\
# {{ name }}

{% call section("model") -%}
{{ summary }}
{% if rows %}
| | |
| --- | --- |
{% for key, value in rows -%}
| {{ key }} | {{ value }} |
{% endfor -%}
{% endif -%}
{% endcall %}

## How to use it

{% call section("usage") -%}
{% if requirements -%}
It needs:

```text
{% for line in requirements -%}
{{ line }}
{% endfor -%}
```

{% endif -%}
```python
{% for line in loading -%}
{{ line }}
{% endfor -%}
```
{% if executed %}
These lines were run before the model was published.
{% endif -%}
{% endcall %}
{% if training %}

## Training

{% call section("training") -%}
{% for key, value in training -%}
- {{ key }}: {{ value }}
{% endfor -%}
{% if hyperparameters %}
| hyperparameter | value |
| --- | --- |
{% for key, value in hyperparameters -%}
| {{ key }} | {{ value }} |
{% endfor -%}
{% endif -%}
{% endcall %}
{% endif %}
{% if metrics %}

## Evaluation

{% call section("metrics") -%}
| metric | value |
| --- | --- |
{% for key, value in metrics -%}
| {{ key }} | {{ value }} |
{% endfor -%}
{% endcall %}
{% endif %}
{% if environment %}

## Environment

{% call section("environment") -%}
{% for key, value in environment -%}
- {{ key }}: {{ value }}
{% endfor -%}
{% endcall %}
{% endif %}
"""
