"""The questions: read only, one module per published question. Nothing here can write."""
