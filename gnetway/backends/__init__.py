"""The providers of ISessionBackend."""
