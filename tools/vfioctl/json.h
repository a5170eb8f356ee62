/* SPDX-License-Identifier: GPL-2.0-only */
/* What --json prints: vfioctl.schema.json says what is in it. */
#ifndef VFIOCTL_JSON_H
#define VFIOCTL_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "util.h"

struct json_object *json_begin(const char *command);
void json_print(struct json_object *o, bool one_line);

void json_text(struct json_object *o, const char *key, const char *value);
void json_flag(struct json_object *o, const char *key, bool value);
void json_number(struct json_object *o, const char *key, int64_t value);
void json_index(struct json_object *o, const char *key, int value);
void json_hex(struct json_object *o, const char *key, uint64_t value, int digits);
void json_strings(struct json_object *o, const char *key, const struct strings *list);

#endif
