class Fault(Exception):
    """An error that the runtime itself found. `trace` is what to show as the stack."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.trace = list(trace)
