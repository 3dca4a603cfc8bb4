"""The Merkle audit log: leaves and tree nodes (RFC 6962)."""
