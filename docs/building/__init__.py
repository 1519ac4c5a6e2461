"""What the pages need beside their text: figures, the commands' options, links."""
