import Tunnel

/// The seal of a server's sessions, and its key.
extension ServerSettings {
    /// Reads the policy and the key, and makes the key's file if it is missing and nothing else is wrong.
    ///
    /// - Parameter state: the folder of the default file; nil for none.
    /// - Returns: why there is no key although the policy would use one; nil if there is one, or if that is a mistake.
    func readKey(_ result: inout ServerConfiguration, _ state: StateFolder?) -> String? {
        if let policy = encryption() { result.encryption = policy }
        let named = flags.keyFile ?? file?.string("key_file")
        guard result.encryption != .off else {
            file?.warnIfThere("key_file", "it has no effect with encryption = \"off\"")
            return nil
        }
        if result.encryption == .required {
            file?.warnIfThere("compress_shared", "it has no effect with encryption = \"required\"")
        }
        // A start that fails makes no file.
        guard !problems.hasErrors else { return nil }
        guard let path = named ?? state?.serverKey else {
            let problem = "no folder for the server's key: HOME is not set; name a file with --key-file"
            return settle(problem, isMistake: result.encryption == .required)
        }
        do throws(ServerKeyFile.Unusable) {
            result.serverKey = try ServerKeyFile(path: path).key(isTrial: problems.isTrial).key
            return nil
        } catch {
            return settle(error.text, isMistake: result.encryption == .required || error.isMistake)
        }
    }

    private func encryption() -> EncryptionPolicy? {
        let text = flags.encryption ?? file?.string("encryption")
        guard let text else { return nil }
        return problems.attempt(flags.encryption == nil ? file : nil, "encryption") { () throws(Failure) in
            try EncryptionOptions.policy(text) {
                Failure(.configuration, flags.encryption == nil ? $0 : "--encryption \(text): \($0)")
            }
        }
    }

    /// Notes a mistake, or a warning of `culvert check`, at the key that names the file, if there is one.
    ///
    /// - Returns: the problem, if it does not stop a start.
    private func settle(_ problem: String, isMistake: Bool) -> String? {
        let place = flags.keyFile == nil && file?.has("key_file") == true ? file : nil
        if isMistake {
            guard let place else {
                problems.add(Failure(.configuration, problem))
                return nil
            }
            place.report("key_file", problem)
            return nil
        }
        guard problems.isTrial else { return problem }
        if let place { place.warn("key_file", problem) } else { problems.warn(line: 0, problem) }
        return problem
    }
}

extension ConfigurationFile {
    /// Reports a warning about a key, if the file has it.
    fileprivate func warnIfThere(_ key: String, _ problem: String) {
        if has(key) { warn(key, problem) }
    }
}
