import HTTP1
import Mux
import TunnelCore

/// The lines that answer a `facts` probe (protocol page, section 10).
struct ProbeFacts {
    /// The longest value. Those of peers are cut.
    static let longestValue = 300

    private(set) var text = ""

    init(
        _ places: [PublicPlace],
        origin: CarrierOrigin,
        rules: SessionRules,
        owner: PortOwner?,
        ports: PortDirectory,
        milliseconds: Int64
    ) {
        let (rights, policy) = (rules.rights, rules.policy)
        append("software", softwareName)
        append("time", "\(milliseconds)")
        append("client", rights.name)
        append("address", origin.address)
        append("socket", origin.socket)
        append("front", origin.front.rawValue)
        append("reported", origin.reported)
        append("via", origin.via)
        append("ports", policy.allowedPorts.description)
        append("public-address", (policy.clientAddresses ?? policy.publicAddresses).joined(separator: " "))
        append("unix-directory", policy.unixDirectory ?? "")
        append("names", rules.names.shown)
        append("names-domain", rules.names.domain?.description ?? "")
        append("destinations", "\(rights.destinations.count)")
        append("expires", rights.expires.map { "\($0)" } ?? "")
        append("certificate", rules.certificate)
        append("bandwidth", rights.bandwidth.map { "\($0)" } ?? "")
        for place in places {
            append("port", "\(Self.name(place)) \(Self.state(of: place, policy, owner, ports))")
        }
    }

    /// An empty value is left out.
    private mutating func append(_ name: String, _ value: String) {
        guard !value.isEmpty else { return }
        text += "\(name): \(value.escapedForDisplay(limit: Self.longestValue))\n"
    }

    private static func name(_ place: PublicPlace) -> String {
        switch place {
        case .port(let port): "\(port)"
        case .udp(let port): "\(port)/udp"
        case .path(let path): path
        case .name(let name): name.description
        }
    }

    private static func state(
        of place: PublicPlace,
        _ policy: BindPolicy,
        _ owner: PortOwner?,
        _ ports: PortDirectory
    ) -> String {
        guard policy.allowedPorts.contains(place.port) else { return "denied" }
        guard let holder = ports.holder(of: place) else {
            return ports.use(ofOwn: place.port) == nil ? "free" : "taken"
        }
        return holder.client == owner?.client ? "own" : "taken"
    }
}
