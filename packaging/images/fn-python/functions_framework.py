"""The decorators of the Functions Framework, and its CloudEvent."""

import json

registered = {}


class CloudEvent(dict):
    """Attributes by name as in the CloudEvents SDK; data holds the payload."""

    def __init__(self, attributes, data):
        super().__init__(attributes)
        self.data = data

    def get_data(self):
        return self.data

    def get_attributes(self):
        return dict(self)


def http(function):
    """Marks a function that takes a Flask request and returns a response."""
    registered[function.__name__] = (function, "http")
    return function


def cloud_event(function):
    """Marks a function that takes a CloudEvent."""
    registered[function.__name__] = (function, "cloudevent")
    return function


REQUIRED = ("id", "source", "type", "specversion")


def event_of(request):
    """Reads a CloudEvent in binary or structured mode; ValueError when it is none."""
    body = request.get_data()
    if request.content_type and request.content_type.startswith("application/cloudevents+json"):
        whole = json.loads(body)
        data = whole.pop("data", None)
        event = CloudEvent(whole, data)
    else:
        attributes = {name[3:].lower(): value for name, value in request.headers.items() if name.lower().startswith("ce-")}
        if request.content_type:
            attributes["datacontenttype"] = request.content_type
        data = body
        if body and (request.content_type or "application/json").split(";")[0].endswith("json"):
            data = json.loads(body)
        event = CloudEvent(attributes, data)
    missing = [name for name in REQUIRED if name not in event]
    if missing:
        raise ValueError("the request is no CloudEvent: it lacks " + ", ".join(missing))
    return event
