"""Files become resources: content types, compressed forms, listings, pages, header fields, redirects."""
