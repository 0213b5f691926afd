"""What people write about a site: path patterns, `_redirects`, `_headers`, and the [site] tables.

pattern is the one pattern language; redirects and headers read the files that Netlify and Cloudflare Pages
know; settings reads the tables; lines is how a wrong line is named. Nothing here touches a file of the site.
"""
