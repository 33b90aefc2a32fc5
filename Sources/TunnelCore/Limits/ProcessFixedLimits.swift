/// Fixed bounds of either role's process: name lookups, administration, log and certificates.
extension FixedLimit {
    package static let names: [FixedLimit] = [
        FixedLimit("Lookups at a time", .count(NameLimits().threads), "each blocks a thread, perhaps for a minute"),
        FixedLimit(
            "Lookups kept for servers and proxies",
            .count(NameLimits().threadsForCarriers),
            "names of services must not keep the client from its server"
        ),
        FixedLimit(
            "Lookups of one name at a time",
            .count(NameLimits().threadsPerName),
            "the second one helps if the first one has lost its packets"
        ),
        FixedLimit(
            "Time before the second lookup of a name",
            .time(NameLimits().patience),
            "a resolver repeats its question later than that"
        ),
        FixedLimit(
            "Life of an answer",
            .time(NameLimits().validity),
            "a burst of visitors asks once, and a moved service is found soon"
        ),
        FixedLimit("Life of a failure", .time(NameLimits().failureValidity), "a name that appears is found at once"),
        FixedLimit(
            "Life of the last good answer if no name server answers",
            .time(NameLimits().lastGoodValidity),
            "an outage of DNS passes unnoticed"
        ),
        FixedLimit(
            "Names that are remembered",
            .count(NameLimits().names),
            "a configuration names fewer, and a proxy script could name ever others"
        ),
        FixedLimit(
            "Addresses of a name that are kept",
            .count(NameLimits.addresses),
            "more are of no use to one connection"
        ),
        FixedLimit("Length of a name", .bytes(NameLimits.nameLength), "DNS has no longer ones"),
        FixedLimit(
            "Stack of a lookup's thread",
            .bytes(DetachedThread.stack),
            "resolvers and their modules need a fifth"
        ),
        FixedLimit(
            "Time between two looks at the resolver's configuration",
            .time(.seconds(Int(HostNames.period))),
            "a laptop that changes networks has other name servers"
        ),
    ]

    package static let log: [FixedLimit] = [
        FixedLimit(
            "Time over which lines of one kind are counted",
            .time(LogThrottle.period),
            "a line then says how many were left out"
        )
    ]

    package static let certificates: [FixedLimit] = [
        FixedLimit(
            "Certificates in a peer's chain",
            .count(CertificateVerifier.maximumCertificates),
            "chains have two to four, and the search among many takes long"
        ),
        FixedLimit(
            "File of the system's CA certificates",
            .bytes(SystemTrustStore.maximumLength),
            "no bundle is longer"
        ),
        FixedLimit(
            "Files of the system's folder of CA certificates",
            .count(SystemTrustStore.maximumFiles),
            "no store has more"
        ),
    ]
}
