"""The kinds of clients, each a coroutine that does one thing once; `traffic` does it again and again."""
