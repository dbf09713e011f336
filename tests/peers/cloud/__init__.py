# SPDX-License-Identifier: Apache-2.0
"""A real OpenStack on loopback, from Debian's packages. ../openstack is its command."""
