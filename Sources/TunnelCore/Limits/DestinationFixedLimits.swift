import Mux

/// Fixed limits of destinations.
extension FixedLimit {
    package static let destinations: [FixedLimit] = [
        FixedLimit(
            "Destination",
            .bytes(OpenRequest.longestDestination),
            "the longest name and a port fit",
            isWire: true
        ),
        FixedLimit(
            "Path of a Unix socket of a tunnel or forward",
            .bytes(Destination.longestPath),
            "the kernel takes no more"
        ),
    ]
}
