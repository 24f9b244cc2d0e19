# Everything happens in tools/, so that it is the same on Linux, macOS and Windows; `make help` lists the targets.
ifeq ($(OS),Windows_NT)
PYTHON ?= python
FOUND = $(PYTHON)
else
PYTHON ?= python3
FOUND = command -v $(PYTHON) >/dev/null 2>&1 || { \
  echo "epkit: stopped: there is no $(PYTHON) on this machine." >&2; \
  echo "epkit: remedy: install Python 3.11 or newer (https://www.python.org/downloads/), then run make again." >&2; \
  exit 1; }; $(PYTHON)
endif

.PHONY: lab test check notebooks lock clean help
.DEFAULT_GOAL := help

lab test check notebooks lock clean help:
	@$(FOUND) tools/make.py $@ $(ARGS)
