"""Content types by file name: our own table, so that a site compiles the same on every machine.

Knows nothing of files' contents. The tables say no charset: text gets the one of the settings; JSON and XML
say their encoding themselves (RFC 8259 8.1, RFC 7303 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping

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

WHOLE_NAMES = {
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


def _extensions() -> dict[bytes, str]:
    table: dict[bytes, str] = {}
    for line in _TABLE.split("\n"):
        media_type, *extensions = line.split() or [""]
        for extension in extensions:
            table[extension.encode()] = media_type
    return table


TYPES = _extensions()
"""Media type by extension, lower case, without the dot."""


class ContentTypes:
    """Overrides: ".ext" or a whole file name -> media type, compared without case. charset: added to text
    that says none itself; empty adds nothing. JSON and XML say their encoding themselves."""

    def __init__(self, overrides: Mapping[str, str], charset: str = "utf-8") -> None:
        self._charset = charset
        self._extensions = {extension: self._full(kind) for extension, kind in TYPES.items()}
        self._names = {name: self._full(kind) for name, kind in WHOLE_NAMES.items()}
        self._special: dict[bytes, str] = {}
        for name, kind in overrides.items():
            key = name.lower().encode("utf-8")
            if key.startswith(b".") and key.count(b".") == 1:
                self._extensions[key[1:]] = self._full(kind)
            else:
                self._special[key] = self._full(kind)

    def of(self, url: bytes) -> str:
        """For a path or name. The longest extension of the overrides counts, as in ".d.ts"."""
        name = url.rpartition(b"/")[2].lower()
        if self._special and (kind := self._of_special(name)):
            return kind
        _, dot, extension = name.rpartition(b".")
        if dot:
            return self._extensions.get(extension, DEFAULT_TYPE)
        return self._names.get(name, DEFAULT_TYPE)

    def _of_special(self, name: bytes) -> str:
        if name in self._special:
            return self._special[name]
        dot = name.find(b".")
        while dot >= 0:
            if name[dot:] in self._special:
                return self._special[name[dot:]]
            dot = name.find(b".", dot + 1)
        return ""

    def _full(self, kind: str) -> str:
        if self._charset and kind.startswith("text/") and "charset" not in kind.lower():
            return f"{kind}; charset={self._charset}"
        return kind


content_type = ContentTypes({}).of
"""The Content-Type of a file by its name or path, without settings."""
