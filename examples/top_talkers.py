"""The hosts that sent most, from flow records in Parquet.

headwater convert flows.ipfix flows.parquet
python examples/top_talkers.py flows.parquet
"""

from __future__ import annotations

import sys
from ipaddress import ip_address

import duckdb

# Addresses are numbers and octets in the columns, so grouping is cheap; text is made for the few rows that are shown.
TOP = """
    SELECT coalesce(sourceIPv4Address::VARCHAR, hex(sourceIPv6Address)) AS host,
           sourceIPv6Address IS NOT NULL AS is_ipv6,
           sum(octetDeltaCount)::BIGINT AS octets,
           sum(packetDeltaCount)::BIGINT AS packets,
           count(*) AS flows,
           octets / sum(octets) OVER () AS share
    FROM read_parquet(?)
    GROUP BY ALL
    ORDER BY octets DESC
    LIMIT 10
"""


def main() -> None:
    """Print the top ten as a table."""
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/top_talkers.py flows.parquet")
    print(f"{'host':<22}{'megabytes':>12}{'packets':>10}{'flows':>8}  share")
    for host, is_ipv6, octets, packets, flows, share in duckdb.execute(TOP, [sys.argv[1]]).fetchall():
        address = ip_address(bytes.fromhex(host) if is_ipv6 else int(host))
        print(f"{address!s:<22}{octets / 1e6:>12,.2f}{packets:>10,}{flows:>8,}  {'█' * round(share * 40)} {share:.1%}")


if __name__ == "__main__":
    main()
