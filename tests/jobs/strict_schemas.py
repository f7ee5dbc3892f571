"""Checks of rendered objects that refuse what they do not know: Kubernetes and AWS drop or ignore a misspelt field."""

import copy
import gzip
import json
import re
from functools import cache

import jsonschema
from botocore.session import Session
from botocore.validate import ParamValidator

# What every object has, whether its schema says so or not.
COMMON = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}


@cache
def validator(path):
    """Return a validator by the CRD's schema in `path`, in which no object may have a field that is not named."""
    with gzip.open(path) as stream:
        schema = json.load(stream)
    schema["properties"] = COMMON | schema["properties"]
    return jsonschema.Draft202012Validator(closed(schema))


def closed(schema):
    """Return the schema with every object closed that names its properties."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(part) for key, part in schema.items()}
    is_object = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if is_object and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        result["additionalProperties"] = False
    return result


def check_fields(found, tree, where=""):
    """Check an object's fields against a hand-kept tree: a dict of known fields, a list of one, or a type."""
    if isinstance(tree, dict):
        assert isinstance(found, dict), f"{where} is {found!r}"
        assert set(found) <= set(tree), f"{where}: unknown {sorted(set(found) - set(tree))}"
        for name, value in found.items():
            check_fields(value, tree[name], f"{where}.{name}")
    elif isinstance(tree, list):
        assert isinstance(found, list), f"{where} is {found!r}"
        for number, value in enumerate(found):
            check_fields(value, tree[0], f"{where}[{number}]")
    else:
        assert isinstance(found, tree), f"{where} is {found!r}"
        assert not (tree is int and isinstance(found, bool)), f"{where} is {found!r}"


def check_request(service, operation, request):
    """Validate a request as boto3 does before it is sent, and by the patterns and limits that boto3 leaves to AWS."""
    shape = Session().get_service_model(service).operation_model(operation).input_shape
    whole = copy.deepcopy(request)
    if "clientToken" in shape.members:
        whole["clientToken"] = "made-by-the-client"
    report = ParamValidator().validate(whole, shape)
    assert not report.has_errors(), report.generate_report()
    assert not (found := list(misfits(whole, shape))), found


def misfits(value, shape, where=""):
    if shape.type_name == "structure":
        for name, part in value.items():
            yield from misfits(part, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for part in value:
            yield from misfits(part, shape.member, f"{where}[]")
    elif shape.type_name == "map":
        for name, part in value.items():
            yield from misfits(part, shape.value, f"{where}.{name}")
    elif shape.type_name == "string":
        facts = shape.metadata
        if not matches(facts.get("pattern", ""), value):
            yield f"{where} = {value!r} is not {facts['pattern']}"
        if len(value) > facts.get("max", len(value)) or value not in facts.get("enum", [value]):
            yield f"{where} = {value!r} is not {facts}"


def matches(pattern, text):
    try:
        return not pattern or re.fullmatch(pattern, text, re.DOTALL) is not None
    except re.error:  # Java's halves of characters, as in [\uD800\uDC00-\uDBFF\uDFFF], are no Python pattern
        return True
