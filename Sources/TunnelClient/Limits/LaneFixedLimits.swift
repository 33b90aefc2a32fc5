import TunnelCore

/// The fixed limits of a client's lanes.
extension FixedLimit {
    package static let lanes: [FixedLimit] = [
        FixedLimit(
            "Greatest number of `carriers`",
            .count(CarrierCount.bounds.upperBound),
            "each costs both ends a socket, and a proxy may refuse many"
        ),
        FixedLimit(
            "WebSockets of `carriers = \"auto\"`",
            .count(CarrierCount.automatic.maximum),
            "four for bulk traffic and one for interactive traffic"
        ),
    ]
}
