"""ncyber: closed-loop models of brain, objective and body, from neural recordings of several animals."""

__version__ = "0.1.0"
