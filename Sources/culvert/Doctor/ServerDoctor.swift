import NIOCore
import NIOSSL
import NetworkAddress
import Platform
import Tunnel
import TunnelCore

/// The server's side of `culvert doctor`: what a server with a configuration needs from this machine.
struct ServerDoctor {
    /// Ports of `allow_ports` that are tried.
    static let triedPorts = 8
    /// Descriptors below which a server is soon full: each visitor needs one.
    static let fewDescriptors = 4_096

    let configuration: ServerConfiguration
    /// The path of a running server's admin socket; nil if none was found.
    let runningServer: String?

    /// All checks, in order.
    func checks() async -> [DiagnosisCheck] {
        [running()] + configuration.listen.map(listen) + [ports(), descriptors()] + (await certificate())
            + [front(), memory()]
    }

    private func running() -> DiagnosisCheck {
        guard let runningServer else {
            return DiagnosisCheck("server", .ok, "none runs here now")
        }
        return DiagnosisCheck("server", .ok, "one runs here; culvert status shows it (unix:\(runningServer))")
    }

    // MARK: Addresses and ports

    private func listen(_ address: ListenAddress) -> DiagnosisCheck {
        switch address {
        case .unix(let path):
            guard let folder = address.missingFolder else {
                return DiagnosisCheck("listen", .ok, "unix:\(path)")
            }
            return .failed(
                "listen",
                .configuration,
                "unix:\(path): there is no folder \(folder)",
                remedy: "make it, or let systemd make it with RuntimeDirectory="
            )
        case .tcp(let host, let port):
            let text = host == "localhost" ? "127.0.0.1" : host
            guard let problem = Self.bindProblem(text, port) else {
                return DiagnosisCheck("listen", .ok, "\(address) is free")
            }
            if problem == EADDRINUSE, runningServer != nil {
                return DiagnosisCheck("listen", .ok, "\(address) is in use, as it is while a server runs")
            }
            return .failed(
                "listen",
                .configuration,
                "\(address): \(Self.reason(problem))",
                remedy: Self.remedy(problem)
            )
        }
    }

    /// Tries some of the ports that clients may have.
    private func ports() -> DiagnosisCheck {
        let ranges = configuration.allowedPorts.ranges
        var tried = ranges.prefix(Self.triedPorts).map(\.lowerBound)
        var generator = SystemRandomNumberGenerator()
        while tried.count < Self.triedPorts, let port = configuration.allowedPorts.random(using: &generator) {
            tried.append(port)
        }
        let host = configuration.publicAddress.map { $0 == "localhost" ? "127.0.0.1" : $0 } ?? "0.0.0.0"
        let problems = Set(tried).sorted().compactMap { port in
            Self.bindProblem(host, port).map { (port: port, problem: $0) }
        }
        let text = "allow_ports \(configuration.allowedPorts) on \(configuration.publicAddress ?? "all addresses")"
        // A port in use belongs to a client, or is refused to one in words.
        guard let first = problems.first(where: { $0.problem != EADDRINUSE }) else {
            let busy = problems.map { "\($0.port)" }.joined(separator: ", ")
            return DiagnosisCheck("ports", .ok, text + (busy.isEmpty ? "" : "; in use now: \(busy)"))
        }
        return .failed(
            "ports",
            .configuration,
            "\(text): port \(first.port): \(Self.reason(first.problem))",
            remedy: Self.remedy(first.problem)
        )
    }

    /// The error of binding an address; nil if it can be bound.
    private static func bindProblem(_ host: String, _ port: UInt16) -> Int32? {
        guard let address = try? SocketAddress(ipAddress: host, port: Int(port)),
            let descriptor = try? StreamSocket.open(host.contains(":") ? AF_INET6 : AF_INET)
        else { return EAFNOSUPPORT }
        defer { close(descriptor) }
        var on: Int32 = 1
        _ = setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let result = address.withSockAddr { pointer, length in bind(descriptor, pointer, socklen_t(length)) }
        guard result == 0 else { return errno }
        // With SO_REUSEADDR only a listener shows that the port is taken.
        return Platform.listen(descriptor, 1) == 0 ? nil : errno
    }

    private static func reason(_ problem: Int32) -> String { String(cString: strerror(problem)) }

    private static func remedy(_ problem: Int32) -> String {
        switch problem {
        case EACCES: "give the server CAP_NET_BIND_SERVICE, or choose ports from 1024 on"
        case EADDRINUSE: "ss -ltnp shows which program has it; end it, or choose another address"
        case EADDRNOTAVAIL: "this machine does not have that address: correct it"
        default: "correct the address"
        }
    }

    // MARK: The machine

    private func descriptors() -> DiagnosisCheck {
        let limit = ProcessUsage.descriptorLimit ?? 0
        let text = "\(limit) for visitors, clients and destinations"
        guard limit < Self.fewDescriptors else { return DiagnosisCheck("descriptors", .ok, text) }
        return DiagnosisCheck("descriptors", .warn, text, remedy: "raise LimitNOFILE in the unit, or ulimit -n")
    }

    private func memory() -> DiagnosisCheck {
        let reason = SystemMemory().budget.map { ", since that is \($0.reason)" } ?? ""
        return DiagnosisCheck("memory", .ok, "\(configuration.serverLimits.memory.asBytes) for sessions\(reason)")
    }

    // MARK: TLS and the front

    private func certificate() async -> [DiagnosisCheck] {
        guard let tls = configuration.tls else { return [] }
        let chain = tls.certificateChain.compactMap { source -> [UInt8]? in
            if case .certificate(let certificate) = source { try? certificate.toDERBytes() } else { nil }
        }
        if let warning = TLSIdentity.warnings(about: tls, now: WallClock.unixSeconds).first {
            let parts = warning.split(separator: ":", maxSplits: 1).map(String.init)
            let isOver = warning.contains("has expired")
            return isOver
                ? [
                    .failed(
                        "certificate",
                        .configuration,
                        parts[0],
                        remedy: "renew it; the server reads it again by itself"
                    )
                ]
                : [
                    DiagnosisCheck(
                        "certificate",
                        .warn,
                        parts[0],
                        remedy: "renew it; the server reads it again by itself"
                    )
                ]
        }
        guard let origin = CertificateOrigin(chain, TLSTrust()) else { return [] }
        let left = origin.left(now: WallClock.unixSeconds)
        let text = "by \(origin.issuer), valid for \(left), sent with \(max(0, chain.count - 1)) CAs"
        guard let anchors = try? TLSTrust().anchors() else { return [DiagnosisCheck("certificate", .ok, text)] }
        guard let problem = await CertificateVerifier(anchors, .server).problem(with: chain, for: nil) else {
            return [DiagnosisCheck("certificate", .ok, text)]
        }
        return [
            DiagnosisCheck(
                "certificate",
                .warn,
                "\(text); \(problem.sentence(of: "this server"))",
                remedy: "put the CAs between it and the root into tls_certificate, or give clients its CA with --ca"
            )
        ]
    }

    private func front() -> DiagnosisCheck {
        let fronts = configuration.trustedFronts
        let isLocal = configuration.listen.allSatisfy(\.isLocal)
        guard fronts.blocks.isEmpty, !fronts.includesUnix else {
            return DiagnosisCheck("front", .ok, "trusted_front is set; culvert doctor wss://... checks it from outside")
        }
        guard isLocal, configuration.tls == nil else { return DiagnosisCheck("front", .ok, "none is needed") }
        return DiagnosisCheck(
            "front",
            .warn,
            "the server listens on this machine only, and trusts no front: all clients behind one share one address",
            remedy: "name the front with trusted_front = [\"127.0.0.1\", \"::1\"], or listen on a public address"
        )
    }
}
