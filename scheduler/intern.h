/* SPDX-License-Identifier: Apache-2.0
 *
 * Words that the picture holds many times (drivers, labels, projects), each once: equal words have
 * equal addresses. Words live as long as the process; their number is bounded, beyond it the word
 * "(too many words)" stands for all new ones. Threads: one.
 */
#ifndef GUTS_SCHEDULER_INTERN_H
#define GUTS_SCHEDULER_INTERN_H

#include "scheduler/place.h"

const char *intern(const char *word); /* NULL gives NULL */
/* Sets `words` from a JSON array of texts (NULL, "" and what is no array give none). */
void intern_words(const char *json, struct place_words *words);
void intern_words_add(struct place_words *words, const char *word);
void intern_words_fini(struct place_words *words);
void intern_end(void); /* frees all, for tests and the process's end */

#endif
