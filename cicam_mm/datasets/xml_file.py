"""Reading of XML annotations, with errors that name the file and the line."""
from collections.abc import Callable
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from .annotation_file import line_error
from .data_file import read_bytes

#: Most bytes of a file; the annotations of an image have a few thousand.
MAX_XML = 2**24


def read_xml(path: str) -> Element:
    """Reads an XML file; the attribute ``line`` of each element is its first line.

    Raises:
        UserError: The file is no XML, or cut off; or it is no regular file, or a giant.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = lambda tag, _: builder.start(
        tag, dict(line=parser.CurrentLineNumber))
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse_entity(*declared):  # a few lines of them make gigabytes of text
        raise line_error(path, parser.CurrentLineNumber, 'it declares an entity')

    parser.EntityDeclHandler = refuse_entity
    try:
        parser.Parse(read_bytes(path, MAX_XML), True)
    except expat.ExpatError as error:
        raise line_error(path, error.lineno,
                         f'not XML ({expat.ErrorString(error.code)})') from None
    return builder.close()


def read_value(path: str, element: Element, name: str, read: Callable):
    """The converted text of a sub-element, named for instance ``'bndbox/xmin'``.

    Raises:
        ValueError: If there is no such element, or the converter refuses its text.
    """
    found = element.find(name)
    if found is None:
        raise line_error(path, element.get('line'), f'<{element.tag}> has no <{name}>')
    text = (found.text or '').strip()
    try:
        return read(text)
    except ValueError:
        raise line_error(
            path, found.get('line'), f"'{text}' is not a value for <{name}>") from None
