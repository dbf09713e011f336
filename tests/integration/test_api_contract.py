# SPDX-License-Identifier: Apache-2.0
"""The routes of guts-api and api/openapi.yaml are the same."""
import subprocess

import jsonschema

from api_world import BUILD, CONTRACT, METHODS


def routes():
    text = subprocess.run([BUILD / "api/guts-api", "--routes"], check=True, capture_output=True,
                          text=True).stdout
    return {(method, path): role for method, path, role in
            (line.split() for line in text.splitlines())}


def operations():
    return {(method.upper(), path): operation for path, item in CONTRACT["paths"].items()
            for method, operation in item.items() if method in METHODS}


def test_every_route_stands_in_the_file_and_every_path_of_the_file_is_served():
    assert set(routes()) == set(operations())


def test_roles_are_the_same():
    assert routes() == {key: operation["x-role"] for key, operation in operations().items()}


def test_every_path_parameter_is_described():
    for (_, path), operation in operations().items():
        item = CONTRACT["paths"][path]
        named = {word[1:-1] for word in path.split("/") if word.startswith("{")}
        described = set()
        for parameter in item.get("parameters", []) + operation.get("parameters", []):
            if "$ref" in parameter:
                name = parameter["$ref"].rsplit("/", 1)[1]
                parameter = CONTRACT["components"]["parameters"][name]
            if parameter["in"] == "path":
                described.add(parameter["name"])
        assert described == named, path


def test_operations_have_unique_names():
    names = [operation["operationId"] for operation in operations().values()]
    assert len(names) == len(set(names))


def test_schemas_are_schemas():
    for schema in CONTRACT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_all_references_lead_somewhere():
    def walk(value):
        if isinstance(value, dict):
            if "$ref" in value:
                _, first, second, name = value["$ref"].split("/")
                assert name in CONTRACT[first][second], value["$ref"]
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
    walk(CONTRACT)
