import CGSSAPI
import NIOCore
import NIOPosix
import ProxyConnect
import Synchronization

/// Makes the tokens of one exchange with one proxy, by the system's GSSAPI.
///
/// The security context is of SPNEGO (RFC 4178), with the service `HTTP@proxyhost` (RFC 4559 section 4.1). The library
/// reads files and asks the Kerberos server over the network, so it is called on a thread of its own.
final class TicketSession: Sendable {
    /// The timeout of a token. Another scheme is then tried, while the proxy still waits.
    static let timeout = TimeAmount.seconds(5)

    private struct Context: @unchecked Sendable {
        var pointer: UnsafeMutableRawPointer?
        /// Seconds until the ticket ends; 0 before the first token.
        var lifetime: UInt32 = 0
    }

    private let host: String
    /// Held while the library waits for the Kerberos server, so never taken on an event loop.
    private let context = Mutex(Context())
    /// Seconds until the ticket ends, for event loops; 0 before the first token.
    private let secondsLeft = Atomic<UInt32>(0)

    init(host: String) {
        self.host = host
    }

    deinit {
        let pointer = context.withLock { $0.pointer }
        guard var pointer, let library = try? GSSAPI.shared() else { return }
        var minor: UInt32 = 0
        withUnsafeMutablePointer(to: &pointer) { place in
            place.withMemoryRebound(to: UnsafeMutableRawPointer?.self, capacity: 1) {
                _ = library.deleteSecContext(&minor, $0, nil)
            }
        }
    }

    /// The next token, or the reason why there is none; on `loop`, and not later than the timeout.
    func token(after input: [UInt8]?, on loop: any EventLoop) -> EventLoopFuture<Result<[UInt8], TicketFailure>> {
        let promise = loop.makePromise(of: Result<[UInt8], TicketFailure>.self)
        let timer = loop.scheduleTask(in: Self.timeout) { promise.succeed(.failure(.late)) }
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            Result { () throws(TicketFailure) in try self.makeToken(after: input ?? []) }
        }
        .whenComplete { result in
            timer.cancel()
            switch result {
            case .success(let token): promise.succeed(token)
            case .failure: promise.succeed(.failure(.late))
            }
        }
        return promise.futureResult
    }

    /// The time until the ticket ends; nil before a token was made, or if it has no end.
    var lifetime: Duration? {
        let seconds = secondsLeft.load(ordering: .relaxed)
        return seconds > 0 && seconds < .max ? .seconds(Int64(seconds)) : nil
    }

    private func makeToken(after input: [UInt8]) throws(TicketFailure) -> [UInt8] {
        let library = try GSSAPI.shared()
        let result = context.withLock { context in
            defer { secondsLeft.store(context.lifetime, ordering: .relaxed) }
            return Result { () throws(TicketFailure) in
                do throws(TicketFailure) {
                    return try step(library, Self.spnego, &context, input)
                } catch {
                    throw input.isEmpty ? explained(error, library) : error
                }
            }
        }
        return try result.get()
    }

    /// The reason of Kerberos itself. SPNEGO reports only that no mechanism works.
    private func explained(_ failure: TicketFailure, _ library: GSSAPI) -> TicketFailure {
        var trial = Context()
        defer {
            var minor: UInt32 = 0
            if trial.pointer != nil { _ = library.deleteSecContext(&minor, &trial.pointer, nil) }
        }
        do throws(TicketFailure) {
            _ = try step(library, Self.kerberos, &trial, [])
            return failure
        } catch {
            return error
        }
    }

    /// 1.3.6.1.5.5.2 (RFC 4178).
    private static let spnego: [UInt8] = [0x2B, 0x06, 0x01, 0x05, 0x05, 0x02]
    /// 1.2.840.113554.1.2.2 (RFC 4121).
    private static let kerberos: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 0x01, 0x02, 0x02]

    /// One call of `gss_init_sec_context`.
    private func step(
        _ library: GSSAPI,
        _ mechanism: [UInt8],
        _ context: inout Context,
        _ input: [UInt8]
    ) throws(TicketFailure) -> [UInt8] {
        var name = try importedName(library)
        var (minor, lifetime): (UInt32, UInt32) = (0, 0)
        defer { _ = library.releaseName(&minor, &name) }
        var output = culvert_gss_buffer()
        var input = input
        var mechanism = mechanism
        let major = mechanism.withUnsafeMutableBytes { bytesOfOID in
            input.withUnsafeMutableBytes { bytes in
                var oid = culvert_gss_oid(length: UInt32(bytesOfOID.count), elements: bytesOfOID.baseAddress)
                var token = culvert_gss_buffer(length: bytes.count, value: bytes.baseAddress)
                return library.initSecContext(
                    &minor,
                    nil,
                    &context.pointer,
                    name,
                    &oid,
                    0,
                    0,
                    nil,
                    &token,
                    nil,
                    &output,
                    nil,
                    &lifetime
                )
            }
        }
        defer {
            var ignored: UInt32 = 0
            _ = library.releaseBuffer(&ignored, &output)
        }
        // The upper half is the error; the lower half says whether another leg follows.
        guard major >> 16 == 0 else { throw Self.failure(library.text(major, minor), host) }
        if lifetime > 0 { context.lifetime = lifetime }
        guard output.length > 0 else {
            throw TicketFailure(
                reason: "the proxy asked for another token after the last one",
                remedy: "choose another scheme with --proxy-auth"
            )
        }
        return output.bytes
    }

    private func importedName(_ library: GSSAPI) throws(TicketFailure) -> UnsafeMutableRawPointer? {
        var service = Array("HTTP@\(host)".utf8)
        // GSS_C_NT_HOSTBASED_SERVICE is 1.2.840.113554.1.2.1.4.
        var hostBased: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 0x01, 0x02, 0x01, 0x04]
        var name: UnsafeMutableRawPointer?
        var minor: UInt32 = 0
        let major = service.withUnsafeMutableBytes { text in
            hostBased.withUnsafeMutableBytes { oid in
                var text = culvert_gss_buffer(length: text.count, value: text.baseAddress)
                var type = culvert_gss_oid(length: UInt32(oid.count), elements: oid.baseAddress)
                return library.importName(&minor, &text, &type, &name)
            }
        }
        guard major >> 16 == 0 else { throw Self.failure(library.text(major, minor), host) }
        return name
    }

    private static func failure(_ text: String, _ host: String) -> TicketFailure {
        TicketFailure(
            reason: text,
            remedy:
                "get a ticket with kinit (klist shows those that you have; the proxy's service is HTTP/\(host)), or "
                + "give --proxy-user and --proxy-password-file"
        )
    }
}
