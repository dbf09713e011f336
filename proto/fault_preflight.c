/* SPDX-License-Identifier: Apache-2.0
 *
 * The faults that a look at the destination finds before anything is made there.
 */
#include "proto/fault.h"

const struct fault FAULT_FLAVOR_NOT_FOUND = {
    .code = "flavor_not_found",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The destination has no such flavor",
    .hint = "Name one of `guts destination catalog --kind flavor`, or none: the smallest that fits "
            "is taken.",
};
const struct fault FAULT_FLAVOR_TOO_SMALL = {
    .code = "flavor_too_small",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The flavor is too small",
    .hint = "Choose a larger flavor, ask for less with cpus and ram_mib, or boot from a volume.",
};
const struct fault FAULT_NETWORK_NOT_FOUND = {
    .code = "network_not_found",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "No network is there for a card",
    .hint = "Name the destination's network with the options network or network_map.",
};
const struct fault FAULT_NETWORK_UNUSABLE = {
    .code = "network_unusable",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The network cannot take the card",
    .hint = "It is switched off, has no subnet or no free address: mend it or choose another one.",
};
const struct fault FAULT_ADDRESS_OUTSIDE = {
    .code = "address_outside",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "A fixed address lies in no subnet of its network",
    .hint = "Give an address within a subnet, and in its allocation pools, or leave it to Neutron.",
};
const struct fault FAULT_ADDRESS_IN_USE = {
    .code = "address_in_use",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "A fixed address is in use",
    .hint = "Free it at the destination (the text names the port), or give another one.",
};
const struct fault FAULT_MAC_IN_USE = {
    .code = "mac_in_use",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "A card's MAC is in use on its network",
    .hint = "Remove the port that the text names, choose another network, or set keep_mac=false.",
};
const struct fault FAULT_VOLUME_TYPE_NOT_FOUND = {
    .code = "volume_type_not_found",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The destination has no such volume type",
    .hint = "Name one of `guts destination catalog --kind volume_type`, or none.",
};
const struct fault FAULT_KEYPAIR_NOT_FOUND = {
    .code = "keypair_not_found",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The destination's user has no such keypair",
    .hint = "Make the keypair with the same credentials that the destination uses.",
};
const struct fault FAULT_SECURITY_GROUP_NOT_FOUND = {
    .code = "security_group_not_found",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The destination has no such security group",
    .hint = "Name one of `guts destination catalog --kind security_group`.",
};
const struct fault FAULT_ZONE_NOT_FOUND = {
    .code = "zone_not_found",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The destination has no such availability zone, or it is switched off",
    .hint = "Name one of `guts destination catalog --kind availability_zone` (of volumes: "
            "volume_zone), or none.",
};
const struct fault FAULT_IMAGE_FORMAT_REFUSED = {
    .code = "image_format_refused",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The destination accepts no image of this format",
    .hint = "Choose another image_format, or auto.",
};
const struct fault FAULT_SERVICE_MISSING = {
    .code = "service_missing",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The destination lacks a service that the migration needs",
    .hint = "Boot from an image without further disks where there is no Cinder; or see to the "
            "catalogue of Keystone.",
};
const struct fault FAULT_SERVER_NAME_INVALID = {
    .code = "server_name_invalid",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The destination refuses this name for a server",
    .hint = "Give another name (guts migrate --name): 1 to 255 characters, no space at either end.",
};
