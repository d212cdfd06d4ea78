"""The contract: a body's bytes in, a typed snapshot or the reasons for refusing it out. Pure."""
