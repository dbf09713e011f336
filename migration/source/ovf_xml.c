/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/ovf_xml.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <limits.h>
#include <string.h>

#include "proto/fault.h"

#define TEXT_MOST 65536

/* Called at "<!DOCTYPE", before anything in it is read. */
static void refuse_document_type(void *context, const xmlChar *name, const xmlChar *external,
                                 const xmlChar *system)
{
    xmlParserCtxt *parser = context;
    *(bool *)parser->_private = true;
    xmlStopParser(parser);
}

static bool explain(const xmlParserCtxt *parser, bool refused, struct error *err)
{
    if (refused)
        return error_set(err, &FAULT_VM_CONFIG_INVALID,
                         "it has a document type, which could hide entities");
    const char *why = parser->lastError.message != NULL ? parser->lastError.message : "no element";
    return error_set(err, &FAULT_VM_CONFIG_INVALID, "it is no well-formed XML: line %d: %.*s",
                     parser->lastError.line, (int)strcspn(why, "\n"), why);
}

bool ovf_xml_read(const char *data, size_t length, xmlDoc **ret_document, struct error *err)
{
    bool refused = false;
    xmlParserCtxt *parser = length <= INT_MAX ? xmlNewParserCtxt() : NULL;
    if (parser == NULL)
        return error_set(err, &FAULT_TOO_LARGE, "it is too large");
    parser->_private = &refused;
    parser->sax->internalSubset = refuse_document_type;
    xmlDoc *document = xmlCtxtReadMemory(parser, data, (int)length, NULL, NULL,
                                         XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                             XML_PARSE_NOCDATA | XML_PARSE_NOBLANKS);
    bool fine = document != NULL && !refused && parser->wellFormed &&
                xmlDocGetRootElement(document) != NULL;
    if (fine)
        *ret_document = document;
    else {
        explain(parser, refused, err);
        xmlFreeDoc(document);
    }
    xmlFreeParserCtxt(parser);
    return fine;
}

bool ovf_xml_is(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static xmlNode *first_from(xmlNode *node, const char *name)
{
    while (node != NULL && !ovf_xml_is(node, name))
        node = node->next;
    return node;
}

xmlNode *ovf_xml_child(const xmlNode *parent, const char *name)
{
    return parent != NULL ? first_from(parent->children, name) : NULL;
}

xmlNode *ovf_xml_next(const xmlNode *node, const char *name)
{
    return first_from(node->next, name);
}

static void collect(const xmlNode *node, struct buffer *text)
{
    for (; node != NULL && text->length < TEXT_MOST; node = node->next) {
        if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE)
            buffer_append_text(text, (const char *)node->content);
    }
}

static const char *text_of(const xmlNode *first, struct arena *arena)
{
    struct buffer text = {0};
    collect(first, &text);
    size_t length = text.length < TEXT_MOST ? text.length : TEXT_MOST;
    const char *copy = arena_strndup(arena, text.data != NULL ? text.data : "", length);
    buffer_fini(&text);
    return copy;
}

const char *ovf_xml_attribute(const xmlNode *node, const char *name, struct arena *arena)
{
    for (const xmlAttr *attribute = node->properties; attribute != NULL;
         attribute = attribute->next) {
        if (strcmp((const char *)attribute->name, name) == 0)
            return text_of(attribute->children, arena);
    }
    return NULL;
}

const char *ovf_xml_text(const xmlNode *node, struct arena *arena)
{
    return node != NULL ? text_of(node->children, arena) : NULL;
}

const char *ovf_xml_child_text(const xmlNode *parent, const char *name, struct arena *arena)
{
    return ovf_xml_text(ovf_xml_child(parent, name), arena);
}
