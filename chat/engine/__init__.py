"""The engines: what runs a model. Nothing in here knows Django, queues or sockets."""
