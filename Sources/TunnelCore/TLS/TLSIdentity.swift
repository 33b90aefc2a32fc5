import ByteText
import Crypto
import NIOSSL
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A certificate of our own with its key: what makes it unusable, and until when it is valid.
public enum TLSIdentity {
    /// How long before its end the operator is reminded of a certificate.
    public static let notice = Duration.seconds(14 * 86_400)

    /// The problem of a key that belongs to another certificate.
    public static let foreignKey = "the key is not the certificate's: compare the two files"

    /// Why the certificate and the key of a configuration cannot be used, in words; nil if they can, or if there are none.
    public static func problem(of configuration: TLSConfiguration) -> String? {
        var configuration = configuration
        configuration.trustRoots = .certificates([])
        configuration.additionalTrustRoots = []
        do {
            _ = try NIOSSLContext(configuration: configuration)
            return nil
        } catch {
            return reason(configuration) ?? "the certificate or its key cannot be used: \(error.userDescription)"
        }
    }

    private static func reason(_ configuration: TLSConfiguration) -> String? {
        guard case .certificate(let own)? = configuration.certificateChain.first, configuration.privateKey != nil else {
            return nil
        }
        guard let bytes = try? own.toDERBytes(), let certificate = try? Certificate(derEncoded: bytes) else {
            return "the certificate cannot be used: its key must be P-256, P-384, P-521, Ed25519 or RSA"
        }
        if let usage = try? certificate.extensions.keyUsage, !usage.digitalSignature {
            return "the certificate cannot be used: its key usage lacks digitalSignature, which TLS needs; it must be "
                + "issued anew with it, or without a key usage"
        }
        return foreignKey
    }

    /// The SHA-256 of a configuration's own certificate, in hexadecimal; nil if it has none.
    package static func fingerprint(of configuration: TLSConfiguration) -> String? {
        guard case .certificate(let own)? = configuration.certificateChain.first, let bytes = try? own.toDERBytes()
        else { return nil }
        return fingerprint(of: bytes)
    }

    /// The SHA-256 of a certificate in DER, in hexadecimal.
    package static func fingerprint(of certificate: [UInt8]) -> String {
        Base16.encoded(SHA256.hash(data: certificate))
    }

    /// Does something twice a day, until its task is cancelled. The clock counts the time in which the machine sleeps.
    package static func daily(_ period: Duration = .seconds(43_200), _ action: @Sendable () -> Void) async {
        while (try? await Task.sleep(for: period, clock: .continuous)) != nil { action() }
    }

    /// What an operator has to know about the times of the configuration's certificates, now: those that have expired, that
    /// end soon, or that are not valid yet.
    ///
    /// - Parameters:
    ///   - configuration: its chain is looked at, the own certificate first.
    ///   - seconds: the present, since 1970.
    public static func warnings(about configuration: TLSConfiguration, now seconds: Int64) -> [String] {
        configuration.certificateChain.enumerated().compactMap { index, source in
            guard case .certificate(let certificate) = source else { return nil }
            return warning(about: certificate, isOwn: index == 0, now: seconds)
        }
    }

    private static func warning(about certificate: NIOSSLCertificate, isOwn: Bool, now seconds: Int64) -> String? {
        let read = (try? certificate.toDERBytes()).flatMap { try? Certificate(derEncoded: $0) }
        let what = isOwn ? "the certificate" : "the certificate of \(read?.subject.shown ?? "a CA"), sent with it,"
        let end = Int64(certificate.notValidAfter)
        let day = Date(timeIntervalSince1970: Double(end)).shownDay
        if end < seconds { return "\(what) has expired on \(day): renew it" }
        let start = Int64(certificate.notValidBefore)
        if start > seconds {
            let begin = Date(timeIntervalSince1970: Double(start)).shownDay
            return "\(what) is not valid before \(begin): check this machine's clock"
        }
        guard end - seconds <= notice.components.seconds else { return nil }
        let days = (end - seconds) / 86_400
        return "\(what) expires on \(day), in \(days) \(days == 1 ? "day" : "days"): renew it"
    }
}
