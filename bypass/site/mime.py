"""Content types by file name: our own table, so that a site compiles the same on every machine.

Knows nothing of files' contents. Text is declared UTF-8; JSON and XML say their encoding themselves
(RFC 8259 8.1, RFC 7303 3.2).
"""

from __future__ import annotations

DEFAULT_TYPE = "application/octet-stream"

_TABLE = """
text/html                       html htm shtml
text/css                        css
text/javascript                 js mjs cjs
text/plain                      txt text log conf cfg ini asc diff patch
text/plain                      c h cc cpp hpp py pyx pxd rs go java sh rb pl toml sha256 sha512 md5
text/markdown                   md markdown
text/csv                        csv
text/tab-separated-values       tsv
text/calendar                   ics
text/vcard                      vcf
text/vtt                        vtt
text/yaml                       yaml yml
text/x-rst                      rst
text/troff                      man roff
application/json                json map
application/ld+json             jsonld
application/geo+json            geojson
application/feed+json           jsonfeed
application/manifest+json       webmanifest
application/jsonl               jsonl ndjson
application/xml                 xml xsl xslt xsd dtd
application/xhtml+xml           xhtml xht
application/atom+xml            atom
application/rss+xml             rss
application/rdf+xml             rdf
application/mathml+xml          mml
application/opensearchdescription+xml  osdx
application/gpx+xml             gpx
application/vnd.google-earth.kml+xml   kml
application/wasm                wasm
application/pdf                 pdf
application/postscript          ps eps ai
application/rtf                 rtf
application/epub+zip            epub
application/zip                 zip
application/gzip                gz tgz
application/x-bzip2             bz2
application/x-xz                xz
application/zstd                zst
application/x-brotli            br
application/x-tar               tar
application/x-7z-compressed     7z
application/vnd.rar             rar
application/java-archive        jar war
application/vnd.debian.binary-package  deb
application/x-rpm               rpm
application/vnd.android.package-archive  apk
application/x-apple-diskimage   dmg
application/x-iso9660-image     iso
application/x-msdownload        exe dll msi
application/sql                 sql
application/x-sqlite3           sqlite sqlite3
application/vnd.apache.parquet  parquet
application/pgp-signature       sig
application/pgp-encrypted       pgp gpg
application/pkix-cert           cer crt der
application/x-pem-file          pem
application/x-bittorrent        torrent
application/vnd.ms-fontobject   eot
application/msword              doc dot
application/vnd.ms-excel        xls
application/vnd.ms-powerpoint   ppt
application/vnd.openxmlformats-officedocument.wordprocessingml.document    docx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet          xlsx
application/vnd.openxmlformats-officedocument.presentationml.presentation  pptx
application/vnd.oasis.opendocument.text          odt
application/vnd.oasis.opendocument.spreadsheet   ods
application/vnd.oasis.opendocument.presentation  odp
application/vnd.apple.mpegurl   m3u8
application/dash+xml            mpd
application/ogg                 ogx
image/png                       png
image/apng                      apng
image/jpeg                      jpg jpeg jpe jfif
image/gif                       gif
image/webp                      webp
image/avif                      avif
image/jxl                       jxl
image/heic                      heic
image/heif                      heif
image/svg+xml                   svg
image/bmp                       bmp
image/tiff                      tif tiff
image/vnd.microsoft.icon        ico cur
image/vnd.djvu                  djvu djv
audio/mpeg                      mp3
audio/ogg                       ogg oga
audio/opus                      opus
audio/flac                      flac
audio/wav                       wav
audio/aac                       aac
audio/mp4                       m4a
audio/webm                      weba
audio/midi                      mid midi
video/mp4                       mp4 m4v
video/webm                      webm
video/ogg                       ogv
video/mpeg                      mpeg mpg
video/mp2t                      ts m2ts
video/quicktime                 mov qt
video/x-msvideo                 avi
video/matroska                  mkv
video/3gpp                      3gp
font/woff2                      woff2
font/woff                       woff
font/ttf                        ttf
font/otf                        otf
font/collection                 ttc
model/gltf-binary               glb
model/gltf+json                 gltf
model/stl                       stl
model/obj                       obj
"""

_WHOLE_NAMES = {
    b"apple-app-site-association": "application/json",
    b"readme": "text/plain",
    b"license": "text/plain",
    b"copying": "text/plain",
    b"changelog": "text/plain",
    b"authors": "text/plain",
    b"makefile": "text/plain",
    b"dockerfile": "text/plain",
    b"sha256sums": "text/plain",
}


def _with_charset(media_type: str) -> str:
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _extensions() -> dict[bytes, str]:
    table: dict[bytes, str] = {}
    for line in _TABLE.split("\n"):
        media_type, *extensions = line.split() or [""]
        for extension in extensions:
            table[extension.encode()] = _with_charset(media_type)
    return table


TYPES = _extensions()
"""Content-Type by extension, lower case, without the dot."""


def content_type(name: bytes) -> str:
    """The Content-Type field value of a file called `name` (a last path component or a whole path)."""
    base = name.rpartition(b"/")[2].lower()
    _, dot, extension = base.rpartition(b".")
    if dot and extension in TYPES:
        return TYPES[extension]
    if not dot and base in _WHOLE_NAMES:
        return _with_charset(_WHOLE_NAMES[base])
    return DEFAULT_TYPE
