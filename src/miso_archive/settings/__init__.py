"""Settings: every option, environment variable, default and help text. Pure."""
