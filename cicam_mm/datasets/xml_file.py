"""Reading of XML annotations, with errors that name the file and the line."""
from collections.abc import Callable
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from mmengine.fileio import get

from .annotation_file import line_error


def read_xml(path: str) -> Element:
    """Reads an XML file; the attribute ``line`` of each element is where it starts.

    Raises:
        ValueError: The file is no XML, or cut off.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = lambda tag, _: builder.start(
        tag, dict(line=parser.CurrentLineNumber))
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(get(path), True)
    except expat.ExpatError as error:
        raise line_error(path, error.lineno,
                         f'no XML ({expat.ErrorString(error.code)})') from None
    return builder.close()


def read_value(path: str, element: Element, name: str, read: Callable):
    """The converted text of what an element holds under a name such as ``'bndbox/xmin'``.

    Raises:
        ValueError: There is no such element, or the converter reports bad text by ``ValueError``.
    """
    found = element.find(name)
    if found is None:
        raise line_error(path, element.get('line'), f'<{element.tag}> has no <{name}>')
    text = (found.text or '').strip()
    try:
        return read(text)
    except ValueError:
        raise line_error(path, found.get('line'), f"'{text}' is no value for <{name}>") from None
