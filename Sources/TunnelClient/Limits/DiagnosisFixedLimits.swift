import TunnelCore

/// Fixed limits of `culvert doctor` at the client.
extension FixedLimit {
    package static let diagnosis: [FixedLimit] = [
        FixedLimit(
            "Answer of a server to a question for facts",
            .bytes(ServerFacts.longestText),
            "it has a few dozen short lines"
        ),
        FixedLimit(
            "Time for a service to accept the doctor's connection",
            .time(ServiceChecks.connectTimeout),
            "a person waits"
        ),
        FixedLimit(
            "Time for a service's greeting",
            .time(ServiceChecks.greetingTimeout),
            "many services have none"
        ),
        FixedLimit(
            "Greeting that is shown",
            .count(ServiceChecks.greetingLength),
            "the first line says what it is"
        ),
        FixedLimit(
            "Time for a destination of a forward",
            .time(ProbeSession.destinationTimeout),
            "a person waits"
        ),
        FixedLimit(
            "Idle time that the doctor measures",
            .time(IdleMeasurement.longest),
            "boxes that cut idle connections do so within an hour"
        ),
    ]
}
